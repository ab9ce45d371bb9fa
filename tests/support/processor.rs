//! The real program as a child process: started, asked, stopped and killed as an operator
//! or an accident would.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Services, request, wait_until};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);
/// Said in the log once the endpoints are there.
const SERVING: &str = "serving http://";

/// What to start `otodoke run` with: flags, and settings by their environment variables.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
}

impl Launch {
    pub fn on(services: &Services) -> Launch {
        Launch::at(services.database_url(), services.amqp_url())
            .with("OTODOKE_PREFIX", services.prefix())
    }

    pub fn at(database_url: &str, amqp_url: &str) -> Launch {
        Launch::default()
            .with("DATABASE_URL", database_url)
            .with("AMQP_URL", amqp_url)
            .with("OTODOKE_HTTP_ADDR", "127.0.0.1:0")
    }

    pub fn with(mut self, variable: &str, value: &str) -> Launch {
        self.variables.insert(variable.to_owned(), value.to_owned());
        self
    }

    pub fn argument(mut self, argument: &str) -> Launch {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts it and returns at once: the services may be away.
    pub fn start(&self) -> Processor {
        let mut command = Command::new(env!("CARGO_BIN_EXE_otodoke"));
        for (inherited, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTODOKE_")) {
            command.env_remove(inherited);
        }
        command.env_remove("DATABASE_URL").env_remove("AMQP_URL");
        command.arg("run").args(&self.arguments).envs(&self.variables);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Log::default();
        log.follow(child.stderr.take().expect("its log is piped"));
        Processor { child, log }
    }

    /// Starts it and returns once it says that it is ready.
    pub async fn ready(&self) -> Processor {
        let processor = self.start();
        processor.wait_ready().await;
        processor
    }
}

/// A running processor. Dropping it kills it, and shows its log if the test failed.
pub struct Processor {
    child: Child,
    log: Log,
}

impl Processor {
    pub async fn wait_ready(&self) {
        wait_until(START, "the processor is ready", async || self.is_ready()).await;
    }

    /// By `/health/ready`; false also where nobody serves it yet.
    pub fn is_ready(&self) -> bool {
        self.serves() && self.get("/health/ready").0 == 200
    }

    /// Whether it answers HTTP, be it ready or not.
    pub fn serves(&self) -> bool {
        self.log.address().is_some()
    }

    /// # Panics
    /// When it doesn't serve HTTP.
    pub fn get(&self, path: &str) -> (u16, String) {
        let address = self.log.address().expect("the processor serves HTTP");
        request(&address, "GET", path, "")
    }

    /// The value of one line of `/metrics`, as in `otodoke_messages_received_total{stream="orders"}`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok())
    }

    /// `http://host:port`, once it serves.
    pub fn address(&self) -> Option<String> {
        self.log.address()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        self.log.text()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the child can be asked").is_none()
    }

    /// SIGTERM, and what it ended with.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.signal("KILL");
        let status = self.ended().await;
        assert_eq!(status.signal(), Some(9), "it ended before it was killed: {}", self.log());
    }

    async fn ended(&mut self) -> ExitStatus {
        wait_until(STOP, "the processor has ended", async || !self.is_running()).await;
        self.child.wait().expect("it has ended")
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(status.expect("there is a kill command").success(), "no process for SIG{name}");
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        // Fails where it has ended already.
        _ = self.child.kill();
        _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("── the log of processor {}:\n{}", self.id(), self.log());
        }
    }
}

/// What a processor has said so far.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    /// Reads to the end, so that the program never waits for a full pipe.
    fn follow(&self, stderr: ChildStderr) {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut text = log.0.lock().expect("nobody panics with it");
                text.push_str(&line);
                text.push('\n');
            }
        });
    }

    fn text(&self) -> String {
        self.0.lock().expect("nobody panics with it").clone()
    }

    /// `http://127.0.0.1:port`, once it is said.
    fn address(&self) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(SERVING)?;
        let address = rest.split('/').next().expect("splitting gives at least one part");
        Some(format!("http://{address}"))
    }
}
