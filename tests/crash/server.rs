//! The real program as a child process, and requests to it.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a start or an end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub const ADMIN_PASSWORD: &str = "a fence around the orchard";

/// A data directory, and how to start the program on it.
pub struct House {
    directory: tempfile::TempDir,
    /// What its programs wrote on stdout: their logs.
    log: tempfile::NamedTempFile,
    /// Takes the flush out: the negative control.
    pub unsynced: bool,
    /// For what the program is started under.
    pub variables: Vec<(&'static str, String)>,
    /// Whether a person makes the first administrator, and not the configuration.
    pub attended: bool,
    heard: Heard,
}

/// Method and path of all that went well.
pub type Heard = Arc<Mutex<BTreeSet<(String, String)>>>;

impl House {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("password"), ADMIN_PASSWORD).unwrap();
        let log = tempfile::NamedTempFile::new().unwrap();
        let heard = Heard::default();
        Self { directory, log, unsynced: false, variables: Vec::new(), attended: false, heard }
    }

    /// Notes what goes well in this list.
    pub fn heard_by(heard: &Heard) -> Self {
        Self { heard: Arc::clone(heard), ..Self::new() }
    }

    /// Where everything of it lies; the program's own part of it is [`House::data`].
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn logged(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap()
    }

    /// The file that it logs to.
    pub fn log(&self) -> &Path {
        self.log.path()
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
            ("REGISTRATION__ENABLED", "true"),
            ("PASSWORD__ARGON2_MEMORY_KIB", "8"),
            ("PASSWORD__ARGON2_ITERATIONS", "1"),
            ("THROTTLE__ACCOUNT_FAILURES", "1000"),
            ("THROTTLE__ADDRESS_FAILURES", "1000000"),
            ("STORE__CACHE_MB", "8"),
            ("LOG__ACCESS", "false"),
            ("LOG__LEVEL", "error"),
        ];
        command.env_clear().envs(options.map(|(name, value)| (format!("HALLPASS_{name}"), value.to_owned())));
        if !self.attended {
            command.env("HALLPASS_ADMIN_EMAIL", "boss@example.org");
            command.env("HALLPASS_ADMIN_PASSWORD_FILE", self.directory.path().join("password"));
        }
        #[cfg(debug_assertions)]
        if self.unsynced {
            command.env(hallpass::start::WITHOUT_SYNC, "1");
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let log = std::fs::OpenOptions::new().append(true).open(self.log.path()).unwrap();
        command.current_dir(self.directory.path()).stdin(Stdio::null()).stdout(log);
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
        let mut server = Server { child, api: Api::new(port, &self.heard) };
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

    /// What a command of the operator prints, asked of the running program; `None` when it does not answer.
    pub fn command(&self, words: &[&str]) -> Option<String> {
        let done = self.program(free_port()).args(words).stdout(Stdio::piped()).output().unwrap();
        done.status.success().then(|| String::from_utf8(done.stdout).unwrap().trim().to_owned())
    }

    /// Starts it where it must refuse; its exit code and what it said.
    pub fn start_refused(&self) -> (Option<i32>, String) {
        let port = free_port();
        let child = self.program(port).stderr(Stdio::piped()).spawn().unwrap();
        let mut server = Server { child, api: Api::new(port, &self.heard) };
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
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.wait_for(PATIENCE).expect("it ends")
    }

    /// Waits for its end, but no longer than this.
    pub fn wait_for(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < patience {
            let status = self.child.try_wait().unwrap();
            if status.is_some() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
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
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    /// What came instead of JSON.
    pub page: String,
    pub cookies: Vec<(String, String)>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let title = self.page.split_once("<title>").and_then(|(_, rest)| rest.split('<').next());
        write!(f, "{} {}", self.status, title.map_or_else(|| self.body.to_string(), str::to_owned))
    }
}

impl Answer {
    /// Done; a form that was taken leads to another page.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status) || self.status == 303
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
    heard: Heard,
    pub through: Option<Arc<Through>>,
}

impl Api {
    /// Speaks to no program: `through` answers alone.
    pub fn without_a_program(through: Arc<Through>) -> Self {
        Self { through: Some(through), ..Self::new(0, &Heard::default()) }
    }

    fn new(port: u16, heard: &Heard) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into();
        Self { agent, base: format!("http://127.0.0.1:{port}"), heard: Arc::clone(heard), through: None }
    }

    /// `None`: no whole answer came, so nothing is promised either way.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
        let send = || {
            let mut request =
                ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            match method {
                "GET" => read(self.agent.run(request.body(()).unwrap())),
                _ => read(self.agent.run(request.body(body.to_owned()).unwrap())),
            }
        };
        let answer = match &self.through {
            Some(through) => through(&format!("{method} {path}"), &send),
            None => send(),
        }?;
        if answer.is_ok() {
            self.heard.lock().unwrap().insert((method.into(), path.into()));
        }
        Some(answer)
    }

    pub fn get(&self, path: &str, bearer: Option<&str>) -> Option<Answer> {
        self.send("GET", path, bearer, Value::Null)
    }

    pub fn send(&self, method: &str, path: &str, bearer: Option<&str>, body: Value) -> Option<Answer> {
        let bearer = bearer.map(|bearer| format!("Bearer {bearer}"));
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        self.call(method, path, &headers, &body.to_string())
    }

    /// A form, with further headers.
    pub fn form(&self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Option<Answer> {
        let encode = |text: &str| rocket::http::RawStr::new(text).percent_encode().to_string();
        let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let kind = ("content-type", "application/x-www-form-urlencoded");
        self.call("POST", path, &[&[kind], headers].concat(), &pairs.join("&"))
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
    let cookies = response.headers().get_all("set-cookie").iter().filter_map(|cookie| {
        let (name, rest) = cookie.to_str().ok()?.split_once('=')?;
        Some((name.to_owned(), rest.split(';').next()?.to_owned()))
    });
    let cookies = cookies.collect();
    let text = response.body_mut().read_to_string().ok()?;
    let (body, page) = match serde_json::from_str(&text) {
        Ok(body) => (body, String::new()),
        Err(_) => (Value::Null, text),
    };
    Some(Answer { status, body, page, cookies })
}

/// Copies a directory with all files that are in it; a socket is nobody's after a crash.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (to, kind) = (to.join(entry.file_name()), entry.file_type().unwrap());
        if kind.is_dir() {
            copy(&entry.path(), &to);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to).map(drop).unwrap();
        }
    }
}
