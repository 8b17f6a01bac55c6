//! The program itself, on a data directory of its own and a free port.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

pub struct Server {
    child: Child,
    /// Open for as long as it runs: it says more than the first line.
    said: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// Comes back once it serves.
    pub fn start(data: &Path, more: &[(&str, &str)]) -> Self {
        // Under a umask that would let everybody read.
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask 022; exec \"$0\" serve", env!("CARGO_BIN_EXE_hallpass")]);
        options(&mut shell, data).envs(more.iter().copied());
        let mut child = shell.stdout(Stdio::piped()).spawn().expect("the program is built");
        let said = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut server = Self { child, said };
        let serves = server.said.any(|line| line.is_ok_and(|line| line.starts_with("Hallpass serves ")));
        assert!(serves, "it does not start");
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn options<'a>(command: &'a mut Command, data: &Path) -> &'a mut Command {
    // What steers tests is no option of the program.
    command.env_clear().env("HALLPASS_DATA_DIR", data).env("HALLPASS_PORT", "0");
    command.env("HALLPASS_LOG__LEVEL", "error").current_dir(data.parent().expect("a temporary directory"))
}

/// One command, to its end.
pub fn run(data: &Path, arguments: &[&str], more: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
    options(command.args(arguments), data).envs(more.iter().copied()).output().expect("the program is built")
}

/// What it said to the operator.
pub fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
