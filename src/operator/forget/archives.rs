//! What of a buyer stands in archives: found first, and written anew, file by file.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use super::ForgetArguments;
use crate::config::Settings;
use crate::contract::Input;
use crate::contract::archive::{ArchiveError, Row, RowKind};
use crate::pipeline::archive::Archive;
use crate::rules::CaseId;
use crate::rules::personal::{Pseudonyms, Share, Trail, forget, is_pseudonym};
use crate::store::forgetting::{self, read_input};

/// The files that the database names, and the folder that they are in.
pub struct Archives {
    folder: Option<Archive>,
    pub files: Vec<String>,
}

/// What was found in them.
#[derive(Debug, Default)]
pub struct Archived {
    /// Those that hold something of the buyer.
    pub files: Vec<String>,
    pub events: usize,
}

impl Archives {
    pub async fn of(
        conn: &mut PgConnection,
        arguments: &ForgetArguments,
        settings: &Settings,
    ) -> Result<Archives> {
        let files = forgetting::archives(conn).await?;
        let folder = settings.pipeline.archive.as_ref().map(Archive::at);
        let folder = folder.filter(|_| !arguments.without_archives);
        let is_left_out = folder.is_none() && !files.is_empty();
        if is_left_out && arguments.yes && !arguments.without_archives {
            bail!(
                "{} archive files may hold something of the buyer: name their folder with --archive \
                 or in OTODOKE_ARCHIVE, or add --without-archives",
                files.len()
            );
        }
        Ok(Archives { folder, files })
    }

    /// How many files nobody looks into.
    pub fn left_out(&self) -> usize {
        if self.folder.is_none() { self.files.len() } else { 0 }
    }

    /// Learns from all files what leads to the buyer, and tells which of them are to be written
    /// anew. A file that is missing or was changed is an error: what it holds would stay.
    pub async fn find(&self, trail: &mut Trail, pseudonyms: &Pseudonyms) -> Result<Archived> {
        let Some(archive) = self.folder.clone() else { return Ok(Archived::default()) };
        let (files, mut own, names) = (self.files.clone(), trail.clone(), pseudonyms.clone());
        let looking = tokio::task::spawn_blocking(move || {
            let found = find(&archive, &files, &mut own, &names);
            found.map(|found| (own, found))
        });
        let (learnt, found) = looking.await??;
        *trail = learnt;
        Ok(found)
    }

    /// Writes files anew. What was written before an interruption is as it would be now.
    pub async fn write(
        &self,
        archived: &Archived,
        trail: &Trail,
        pseudonyms: &Pseudonyms,
    ) -> Result<()> {
        let Some(archive) = self.folder.clone() else { return Ok(()) };
        let (files, trail, names) = (archived.files.clone(), trail.clone(), pseudonyms.clone());
        tokio::task::spawn_blocking(move || {
            files.iter().try_for_each(|file| {
                archive.edit(file, &mut |row| edited(row, &trail, &names)).map_err(|error| {
                    anyhow!(error).context("nothing in the database was changed: run it again")
                })
            })
        })
        .await?
    }
}

fn find(
    archive: &Archive,
    files: &[String],
    trail: &mut Trail,
    pseudonyms: &Pseudonyms,
) -> Result<Archived> {
    loop {
        let before = trail.len();
        let mut found = Archived::default();
        for file in files {
            let (mut rows, mut events) = (0, 0);
            archive.scan(file, &mut |row| {
                if let Some(input) = input(row) {
                    trail.learn(home(row).as_ref().and_then(CaseId::order_id), &input);
                }
                let changes = !matches!(edited(row, trail, pseudonyms), Ok(None));
                rows += usize::from(changes);
                events += usize::from(changes && row.kind == RowKind::Event);
            })?;
            found.events += events;
            found.files.extend((rows > 0).then(|| file.clone()));
        }
        if trail.len() == before {
            return Ok(found);
        }
    }
}

fn home(row: &Row) -> Option<CaseId> {
    CaseId::from_key(&row.case)
}

type Members = BTreeMap<String, Box<RawValue>>;

fn members(row: &Row) -> Option<Members> {
    serde_json::from_str(row.row.get()).ok()
}

fn text(members: &Members, name: &str) -> Option<String> {
    serde_json::from_str(members.get(name)?.get()).ok()
}

fn input(row: &Row) -> Option<Input> {
    let members = (row.kind == RowKind::Event).then(|| members(row)).flatten()?;
    read_input(&text(&members, "type")?, members.get("facts")?.get())
}

/// A row without what is the buyer's; `None` where there is nothing of the buyer in it.
fn edited(row: &Row, trail: &Trail, names: &Pseudonyms) -> Result<Option<Row>, ArchiveError> {
    let home = home(row);
    let order = home.as_ref().and_then(CaseId::order_id);
    let is_own = order.is_some_and(|order| trail.orders.contains(order));
    let Some(mut members) = members(row) else { return Ok(None) };
    let before = members.clone();
    match (row.kind, row.table.as_deref()) {
        (RowKind::Event, _) => {
            // What can't be read must not pass for nothing.
            let mut input = input(row).ok_or_else(unreadable)?;
            let Some(share) = trail.share(order, &input) else { return Ok(None) };
            let facts = input.clone();
            forget(&mut input, share, names);
            if input != facts {
                put(&mut members, "facts", &input.facts())?;
            }
            if share == Share::Whole {
                ["unread", "subject"].iter().try_for_each(|name| clear(&mut members, name))?;
            }
        }
        (RowKind::ReadModel, Some("orders")) => shown(&mut members, is_own, trail, names)?,
        // What the read model was given is told by digests of what it no longer holds.
        (RowKind::Case, _) if is_own => clear(&mut members, "written")?,
        _ => return Ok(None),
    }
    if members.iter().all(|(name, value)| before[name].get() == value.get()) {
        return Ok(None);
    }
    let row_now = serde_json::value::to_raw_value(&members).map_err(|_| unreadable())?;
    Ok(Some(Row { row: row_now, ..row.clone() }))
}

fn shown(
    members: &mut Members,
    is_own: bool,
    trail: &Trail,
    names: &Pseudonyms,
) -> Result<(), ArchiveError> {
    let email = text(members, "relay_email").map(|email| email.to_lowercase());
    let is_theirs = |email: &String| is_own || trail.emails.contains(email);
    if let Some(email) = email.filter(|email| is_theirs(email) && !is_pseudonym(email)) {
        put(members, "relay_email", &names.email(&email).into())?;
    }
    if !is_own {
        return Ok(());
    }
    ["buyer_name", "phone"].iter().try_for_each(|name| clear(members, name))?;
    let address = members.get("ship_to").map(|address| serde_json::from_str(address.get()));
    if let Some(address) = address.transpose().map_err(|_| unreadable())?.flatten() {
        let renamed = names.address(&address);
        if renamed != address {
            put(members, "ship_to", &serde_json::to_value(renamed).map_err(|_| unreadable())?)?;
        }
    }
    Ok(())
}

fn put(members: &mut Members, name: &str, value: &serde_json::Value) -> Result<(), ArchiveError> {
    let value = serde_json::value::to_raw_value(value).map_err(|_| unreadable())?;
    members.insert(name.to_owned(), value);
    Ok(())
}

fn clear(members: &mut Members, name: &str) -> Result<(), ArchiveError> {
    put(members, name, &serde_json::Value::Null)
}

fn unreadable() -> ArchiveError {
    std::io::Error::other("a row of it can't be read").into()
}
