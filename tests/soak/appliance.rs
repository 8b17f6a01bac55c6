//! The real program as a child process: what it uses, and its API.

use crate::shared::machine;
use serde_json::{Value, json};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);
const ADMIN_PASSWORD: &str = "a fence around the orchard";

/// A data directory that goes when dropped.
pub struct Home(tempfile::TempDir);

impl Home {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("password"), ADMIN_PASSWORD).unwrap();
        Self(directory)
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// What the store takes, in MiB.
    pub fn disk_mib(&self) -> f64 {
        machine::disk_mib(&self.data().join("store"))
    }

    /// How many batches were committed, as the witness beside the store says: two slots, the newer one counts.
    pub fn sequence(&self) -> u64 {
        let bytes = std::fs::read(self.data().join("sidecar")).unwrap();
        let number = |slot: &[u8]| slot.get(41..49)?.try_into().map(u64::from_be_bytes).ok();
        bytes.chunks(512).filter_map(number).max().expect("a slot")
    }

    /// Nothing of this process's environment gets there: an unknown variable would stop its start.
    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
        let log = File::options().create(true).append(true).open(self.0.path().join("log")).unwrap();
        let options = [
            ("DATA_DIR", self.data().display().to_string()),
            ("PUBLIC_URL", "http://localhost:8000".into()),
            ("ADMIN_EMAIL", "boss@example.org".into()),
            ("ADMIN_PASSWORD_FILE", self.0.path().join("password").display().to_string()),
            // The store is what is soaked, not argon2.
            ("PASSWORD__ARGON2_MEMORY_KIB", "8".into()),
            ("PASSWORD__ARGON2_ITERATIONS", "1".into()),
            ("THROTTLE__ADDRESS_FAILURES", "1000000".into()),
            ("KEEP__ENDED_SESSIONS_DAYS", "1".into()),
            ("LOG__ACCESS", "false".into()),
            ("LOG__LEVEL", "warn".into()),
        ];
        command.env_clear().envs(options.map(|(name, value)| (format!("HALLPASS_{name}"), value)));
        command.current_dir(self.0.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    /// Starts it and waits until it is ready.
    pub fn start(&self) -> Server<'_> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let began = Instant::now();
        let mut command = self.program();
        let child =
            command.env("HALLPASS_ADDRESS", "127.0.0.1").env("HALLPASS_PORT", port.to_string()).spawn();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into();
        let api = Api { agent, base: format!("http://127.0.0.1:{port}") };
        let mut server = Server { home: self, child: child.unwrap(), api, open_ms: 0.0 };
        while server.api.expect(200, "GET", "/readyz", None, None).is_err() {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "no start: {}", self.logged());
            std::thread::sleep(Duration::from_millis(2));
        }
        server.open_ms = began.elapsed().as_secs_f64() * 1e3;
        server
    }

    /// What the program says to a command for the operator.
    pub fn command(&self, verb: &str) -> String {
        let output = self.program().arg(verb).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        let [said, faults] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{verb}: {said}{faults}");
        said.trim_end().to_owned()
    }

    fn logged(&self) -> String {
        std::fs::read_to_string(self.0.path().join("log")).unwrap_or_default()
    }
}

/// A running program; killed when dropped.
pub struct Server<'a> {
    pub home: &'a Home,
    child: Child,
    pub api: Api,
    /// From its start to its first good answer.
    pub open_ms: f64,
}

impl<'a> Server<'a> {
    /// User and system time of all its threads so far.
    pub fn cpu_seconds(&self) -> f64 {
        machine::cpu_seconds(&self.child.id().to_string())
    }

    /// Memory that is in RAM.
    pub fn resident_mib(&self) -> f64 {
        machine::resident_mib(&self.child.id().to_string())
    }

    /// Ends it by SIGTERM.
    pub fn end(mut self) -> &'a Home {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.home.logged());
        self.home
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer that arrived whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn text(&self, field: &str) -> Option<String> {
        self.body[field].as_str().map(str::to_owned)
    }
}

/// The program's API.
#[derive(Clone)]
pub struct Api {
    agent: ureq::Agent,
    base: String,
}

impl Api {
    /// # Errors
    /// When no whole answer came, in words.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: Option<Value>,
    ) -> Result<Answer, String> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let response = self.agent.run(request.body(body).unwrap());
        let mut response = response.map_err(|e| format!("{method} {path}: {e}"))?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().map_err(|e| format!("{method} {path}: {e}"))?;
        let body = if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text) };
        Ok(Answer { status, body: body.map_err(|e| format!("{method} {path}: {e} in {text}"))? })
    }

    /// # Errors
    /// As [`Api::send`], and when the answer is not the one that is right here.
    pub fn expect(
        &self,
        right: u16,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: Option<Value>,
    ) -> Result<Answer, String> {
        let answer = self.send(method, path, bearer, body)?;
        let fault = || format!("{method} {path}: {} instead of {right}: {}", answer.status, answer.body);
        if answer.status == right { Ok(answer) } else { Err(fault()) }
    }

    pub fn sign_in(&self, login: &str, password: &str, app: &str) -> Result<Answer, String> {
        let body = json!({ "login": login, "password": password, "app": app, "transport": "body" });
        self.expect(200, "POST", "/api/v1/auth/login", None, Some(body))
    }

    /// A new sign-in of the administrator, recent enough for everything.
    pub fn boss(&self) -> Result<String, String> {
        let answer = self.sign_in("admin", ADMIN_PASSWORD, "hallpass")?;
        answer.text("session_token").ok_or_else(|| format!("no session token: {answer:?}"))
    }
}
