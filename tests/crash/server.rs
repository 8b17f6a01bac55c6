//! The real program as a child process, and requests to it.

use serde_json::{Value, json};
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a start or an end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub const ADMIN_PASSWORD: &str = "a fence around the orchard";

/// A data directory, and how to start the program on it.
pub struct House {
    directory: tempfile::TempDir,
    /// Takes the flush out: the negative control.
    pub unsynced: bool,
    /// For what the program is started under.
    pub variables: Vec<(&'static str, String)>,
}

impl House {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("password"), ADMIN_PASSWORD).unwrap();
        Self { directory, unsynced: false, variables: Vec::new() }
    }

    /// Where everything of it lies; the program's own part of it is [`House::data`].
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Leaves it on the disk, for someone to look at.
    pub fn keep(self) -> PathBuf {
        self.directory.keep()
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The program with nothing of this process's environment: an unknown variable would stop its start.
    fn program(&self, port: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
        let options = [
            ("ADDRESS", "127.0.0.1"),
            ("PORT", &port.to_string()),
            // The same from start to start: tokens name it.
            ("PUBLIC_URL", "http://localhost:8000"),
            ("DATA_DIR", &self.data().display().to_string()),
            ("ADMIN_EMAIL", "boss@example.org"),
            ("ADMIN_PASSWORD_FILE", &self.directory.path().join("password").display().to_string()),
            ("PASSWORD__ARGON2_MEMORY_KIB", "8"),
            ("PASSWORD__ARGON2_ITERATIONS", "1"),
            ("THROTTLE__ACCOUNT_FAILURES", "1000"),
            ("THROTTLE__ADDRESS_FAILURES", "1000000"),
            ("STORE__CACHE_MB", "8"),
            ("LOG__ACCESS", "false"),
            ("LOG__LEVEL", "error"),
        ];
        command.env_clear().envs(options.map(|(name, value)| (format!("HALLPASS_{name}"), value.to_owned())));
        #[cfg(debug_assertions)]
        if self.unsynced {
            command.env(hallpass::start::WITHOUT_SYNC, "1");
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.directory.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it ends instead, with what it said.
    pub fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|said| panic!("it does not start: {said}"))
    }

    /// As [`House::start`].
    ///
    /// # Errors
    /// How it ended instead, and what it said.
    pub fn try_start(&self) -> Result<Server, String> {
        let port = free_port();
        let child = self.program(port).stderr(Stdio::piped()).spawn().unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into();
        let api = Api { agent, base: format!("http://127.0.0.1:{port}"), through: None };
        let mut server = Server { child, api };
        let began = Instant::now();
        while server.api.get("/readyz", None).is_none_or(|answer| answer.status != 200) {
            if let Some(status) = server.child.try_wait().unwrap() {
                return Err(format!("{status}: {}", server.said()));
            }
            assert!(began.elapsed() < PATIENCE, "it does not become ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Starts it where it must refuse; its exit code and what it said.
    pub fn start_refused(&self) -> (Option<i32>, String) {
        let child = self.program(free_port()).stderr(Stdio::piped()).spawn().unwrap();
        let api = Api { agent: ureq::Agent::new_with_defaults(), base: String::new(), through: None };
        let mut server = Server { child, api };
        let code = server.wait().code();
        (code, server.said())
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A running program; killed when dropped.
pub struct Server {
    child: Child,
    pub api: Api,
}

impl Server {
    /// SIGKILL: nothing of it runs any more.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it wrote on stderr, once it has ended.
    pub fn said(&mut self) -> String {
        let mut text = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            stderr.read_to_string(&mut text).unwrap();
        }
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer that arrived whole: what it says was promised.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn text(&self, field: &str) -> Option<String> {
        self.body[field].as_str().map(str::to_owned)
    }
}

/// What stands between a client and the program: it sees each request, and may send it or answer by itself.
pub type Through = dyn Fn(&str, &dyn Fn() -> Option<Answer>) -> Option<Answer> + Send + Sync;

/// The program's API, as one client speaks it.
#[derive(Clone)]
pub struct Api {
    agent: ureq::Agent,
    base: String,
    pub through: Option<Arc<Through>>,
}

impl Api {
    /// Speaks to no program: `through` answers alone.
    pub fn without_a_program(through: Arc<Through>) -> Self {
        let agent = ureq::Agent::new_with_defaults();
        Self { agent, base: String::new(), through: Some(through) }
    }

    pub fn get(&self, path: &str, bearer: Option<&str>) -> Option<Answer> {
        self.exchange("GET", path, || {
            let mut request = self.agent.get(format!("{}{path}", self.base));
            if let Some(bearer) = bearer {
                request = request.header("authorization", format!("Bearer {bearer}"));
            }
            read(request.call())
        })
    }

    /// `None`: no whole answer came, so nothing is promised either way.
    pub fn send(&self, method: &str, path: &str, bearer: Option<&str>, body: Value) -> Option<Answer> {
        self.exchange(method, path, || {
            let mut request = ureq::http::Request::builder()
                .method(method)
                .uri(format!("{}{path}", self.base))
                .header("content-type", "application/json");
            if let Some(bearer) = bearer {
                request = request.header("authorization", format!("Bearer {bearer}"));
            }
            read(self.agent.run(request.body(body.to_string()).unwrap()))
        })
    }

    fn exchange(&self, method: &str, path: &str, send: impl Fn() -> Option<Answer>) -> Option<Answer> {
        match &self.through {
            Some(through) => through(&format!("{method} {path}"), &send),
            None => send(),
        }
    }

    pub fn post(&self, path: &str, bearer: Option<&str>, body: Value) -> Option<Answer> {
        self.send("POST", path, bearer, body)
    }

    pub fn sign_in(&self, login: &str, password: &str, app: &str) -> Option<Answer> {
        let body = json!({ "login": login, "password": password, "app": app, "transport": "body" });
        self.post("/api/v1/auth/login", None, body)
    }

    /// A new sign-in of the administrator, recent enough for everything.
    pub fn boss(&self) -> String {
        let answer = self.sign_in("admin", ADMIN_PASSWORD, "hallpass").expect("an answer");
        answer.text("session_token").unwrap_or_else(|| panic!("the administrator cannot sign in: {answer:?}"))
    }
}

fn read(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Option<Answer> {
    let mut response = response.ok()?;
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().ok()?;
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::Null) };
    Some(Answer { status, body })
}

/// Copies a directory with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).map(drop).unwrap();
        }
    }
}
