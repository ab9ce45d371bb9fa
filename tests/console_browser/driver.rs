//! Chromium by the DevTools protocol, over two pipes: no driver program, no port.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{SOON, as_text};

const HOW_TO: &str =
    "browser tests need Chromium: `scripts/test` installs it, or name one in CHROMIUM";

pub struct Browser {
    child: Child,
    commands: File,
    answers: Receiver<Value>,
    kept: HashMap<u64, Value>,
    last: u64,
    _folder: TempDir,
}

impl Browser {
    pub fn start() -> Browser {
        let folder = tempfile::tempdir().unwrap();
        let pipe = |name: &str| {
            let path = folder.path().join(name);
            let made = Command::new("mkfifo").arg(&path).status().expect("there is mkfifo");
            assert!(made.success());
            path
        };
        let (commands, answers) = (pipe("commands"), pipe("answers"));
        let program = std::env::var("CHROMIUM").unwrap_or("chromium".to_owned());
        let flags = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage \
                     --no-first-run --disable-extensions --hide-scrollbars --lang=en \
                     --force-color-profile=srgb --remote-debugging-pipe";
        let line = format!(
            "exec {program} {flags} --user-data-dir={0}/data about:blank 3<{0}/commands 4>{0}/answers",
            folder.path().display()
        );
        let mut command = Command::new("sh");
        command
            .args(["-c", &line])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let found = Command::new(&program).arg("--version").stdout(Stdio::null()).status();
        assert!(found.is_ok_and(|status| status.success()), "{HOW_TO}");
        let child = command.spawn().expect(HOW_TO);
        // In the order in which the shell opens them: each waits for the other end.
        let commands = OpenOptions::new().write(true).open(commands).unwrap();
        let answers = File::open(answers).unwrap();
        let (told, heard) = channel();
        std::thread::spawn(move || listen(answers, &told));
        Browser { child, commands, answers: heard, kept: HashMap::new(), last: 0, _folder: folder }
    }

    pub fn page(mut self) -> Page {
        let target = self.ask(None, "Target.createTarget", json!({ "url": "about:blank" }));
        let id = &target["targetId"];
        let attach = json!({ "targetId": id, "flatten": true });
        let session = self.ask(None, "Target.attachToTarget", attach);
        let session = session["sessionId"].as_str().unwrap().to_owned();
        let mut page = Page { browser: self, session };
        page.ask("Page.enable", json!({}));
        page.look(1280, 800, "light");
        page
    }

    fn ask(&mut self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            command["sessionId"] = json!(session);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).expect("the browser listens");
        loop {
            if let Some(answer) = self.kept.remove(&id) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            let answer = self.answers.recv_timeout(SOON).expect("the browser answers");
            // What it tells by itself nobody asked for.
            if let Some(id) = answer["id"].as_u64() {
                self.kept.insert(id, answer);
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn listen(mut pipe: File, told: &Sender<Value>) {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
        while let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            let message: Vec<u8> = bytes.drain(..=end).collect();
            let Ok(value) = serde_json::from_slice(&message[..end]) else { continue };
            if told.send(value).is_err() {
                return;
            }
        }
    }
}

/// A tab.
pub struct Page {
    browser: Browser,
    session: String,
}

impl Page {
    fn ask(&mut self, method: &str, parameters: Value) -> Value {
        let session = self.session.clone();
        self.browser.ask(Some(&session), method, parameters)
    }

    pub fn go(&mut self, address: &str) {
        let gone = self.ask("Page.navigate", json!({ "url": address }));
        assert!(gone["errorText"].is_null(), "{address}: {gone}");
        self.until("document.readyState === 'complete' && location.protocol === 'http:'");
    }

    /// What a piece of script comes to.
    pub fn value(&mut self, script: &str) -> Value {
        let asked = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let done = self.ask("Runtime.evaluate", asked);
        assert!(done["exceptionDetails"].is_null(), "{script:.200}: {}", done["exceptionDetails"]);
        done["result"]["value"].clone()
    }

    pub fn run(&mut self, script: &str) {
        self.value(&format!("{{ {script}\n }}; null"));
    }

    pub fn text(&mut self, script: &str) -> String {
        as_text(&self.value(script))
    }

    pub fn truth(&mut self, script: &str) -> bool {
        self.value(script) == json!(true)
    }

    /// Waits until a script says true. While a page is being left it may say nothing.
    pub fn until(&mut self, script: &str) {
        let end = Instant::now() + SOON;
        let guarded = format!(
            "(() => {{ try {{ return document.readyState !== 'loading' && ({script}) }} catch {{ return false }} }})()"
        );
        loop {
            let asked = json!({ "expression": guarded, "returnByValue": true });
            if self.ask("Runtime.evaluate", asked)["result"]["value"] == json!(true) {
                return;
            }
            if Instant::now() > end {
                let seen = self.text("location.href + '\\n' + document.body.innerText");
                panic!("still not: {script}\n{seen}");
            }
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
    }

    pub fn click(&mut self, selector: &str) {
        let quoted = json!(selector);
        self.until(&format!("document.querySelector({quoted}) !== null"));
        self.value(&format!("document.querySelector({quoted}).click(); null"));
    }

    pub fn press(&mut self, key: &str) {
        let (code, text) = if key == "Enter" { (13, "\r") } else { (9, "") };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
            });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    pub fn type_in(&mut self, text: &str) {
        self.ask("Input.insertText", json!({ "text": text }));
    }

    /// Goes on with the Tab key until something is focused.
    pub fn tab_to(&mut self, script: &str) {
        for _ in 0..80 {
            if self.truth(script) {
                return;
            }
            self.press("Tab");
        }
        panic!("no Tab leads to {script}");
    }

    /// How wide and high it is, and whether it is light or dark.
    pub fn look(&mut self, width: u32, height: u32, scheme: &str) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.ask("Emulation.setEmulatedMedia", scheme);
    }

    /// A picture of what is seen without scrolling far, where somebody wants pictures.
    pub fn picture(&mut self, name: &str) {
        let Ok(folder) = std::env::var("OTODOKE_SCREENSHOTS") else { return };
        let size = self.value("[document.documentElement.clientWidth, Math.min(document.documentElement.scrollHeight, 1400)]");
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let asked = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let taken = self.ask("Page.captureScreenshot", asked);
        let bytes = from_base64(taken["data"].as_str().unwrap());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(format!("{folder}/{name}.png"), bytes).unwrap();
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'=').map(digit).collect();
    let group = |four: &[u8]| {
        let sum = four.iter().fold(0_u32, |sum, digit| sum << 6 | u32::from(*digit));
        let bytes = (sum << (6 * (4 - four.len()))).to_be_bytes();
        bytes[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
