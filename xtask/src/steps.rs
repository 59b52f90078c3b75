//! Runs commands one after another, says how long each took, and stops at the first that fails.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::{Failure, Outcome};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Whether a program can be started and is content with these arguments.
pub(crate) fn available(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A cargo command in the root of the repository.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root());
    // `cargo run` describes this package to us in the environment. Build scripts that ask for it (ring's) would take
    // it for a change, and half of the dependencies would be compiled again each time.
    for (name, _) in std::env::vars_os() {
        let own = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_BIN_NAME"
        });
        if own {
            command.env_remove(&name);
        }
    }
    command
}

/// The steps that have been made.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration)>,
    closing: Vec<String>,
}

impl Steps {
    /// Runs a command that must succeed.
    pub(crate) fn run(&mut self, name: &str, command: &mut Command) -> Outcome {
        self.timed(name, command, |command| command.status())
    }

    /// Runs a command that must succeed, and keeps the lines with which a test runner closes.
    pub(crate) fn run_tests(&mut self, name: &str, command: &mut Command) -> Outcome {
        let mut closing = Vec::new();
        let outcome = self.timed(name, command, |command| {
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
            closing = forward(&mut child)?;
            child.wait()
        });
        self.closing.append(&mut closing);
        outcome
    }

    /// Runs a program that must end by itself within `limit`.
    pub(crate) fn run_within(&mut self, name: &str, limit: Duration, command: &mut Command) -> Outcome {
        self.timed(name, command, |command| {
            let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
            let ended = ends_within(&mut child, limit);
            if !ended {
                child.kill()?;
                eprintln!("{name} was still running after {}", seconds(limit));
            }
            child.wait()
        })
    }

    /// Prints every step with its duration, then the closing lines of the test runners.
    pub(crate) fn report(&self) {
        println!("\n== durations");
        for (name, took) in &self.done {
            println!("{:>8}  {name}", seconds(*took));
        }
        let total = self.done.iter().map(|(_, took)| *took).sum();
        println!("{:>8}  total", seconds(total));
        if !self.closing.is_empty() {
            println!("\n== the test runners' closing lines");
            for line in &self.closing {
                println!("{line}");
            }
        }
    }

    fn timed(
        &mut self,
        name: &str,
        command: &mut Command,
        run: impl FnOnce(&mut Command) -> io::Result<ExitStatus>,
    ) -> Outcome {
        println!("\n== {name}: {}", shown(command));
        let started = Instant::now();
        let status = run(command);
        let took = started.elapsed();
        self.done.push((name.to_owned(), took));
        match status {
            Ok(status) if status.success() => {
                println!("== {name}: ok in {}", seconds(took));
                Ok(())
            }
            Ok(status) => {
                Err(Failure::new(format!("step `{name}` failed after {}: {status}", seconds(took))))
            }
            Err(error) => Err(Failure::new(format!("step `{name}` could not run: {error}"))),
        }
    }
}

/// A command as one would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Passes both outputs of a child on, and returns the closing lines among them.
fn forward(child: &mut Child) -> io::Result<Vec<String>> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let errors =
            scope.spawn(move || stderr.map_or(Ok(Vec::new()), |pipe| copy_lines(pipe, io::stderr())));
        let mut closing = stdout.map_or(Ok(Vec::new()), |pipe| copy_lines(pipe, io::stdout()))?;
        let more = errors.join().map_err(|_panicked| io::Error::other("the reader of stderr panicked"))?;
        closing.append(&mut more?);
        Ok(closing)
    })
}

fn copy_lines(from: impl Read, mut to: impl Write) -> io::Result<Vec<String>> {
    let mut reader = BufReader::new(from);
    let mut closing = Vec::new();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        let text = String::from_utf8_lossy(&line);
        if is_closing_line(&text) {
            closing.push(text.trim().to_owned());
        }
        line.clear();
    }
    Ok(closing)
}

/// Whether a line is the sum of a test run: nextest's `Summary`, or libtest's `test result` of a
/// run that had tests.
fn is_closing_line(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("Summary [")
        || (line.starts_with("test result:") && !line.contains(" 0 passed; 0 failed; 0 ignored;"))
}

/// Passes the output of a child on until it ends; `false` where it does not within `limit`.
fn ends_within(child: &mut Child, limit: Duration) -> bool {
    let Some(mut pipe) = child.stdout.take() else { return true };
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        let copied = io::copy(&mut pipe, &mut io::stdout());
        // Nobody listens any more where the limit has passed already.
        let _unheard = ended.send(copied);
    });
    end.recv_timeout(limit).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_that_fails_is_named_with_its_exit_code() {
        let mut steps = Steps::default();
        steps.run("good", &mut cargo(&["--version"])).unwrap();
        let failure = steps.run("bad", &mut cargo(&["no-such-command"])).unwrap_err().to_string();
        assert!(failure.contains("step `bad` failed") && failure.contains("101"), "{failure}");
        let missing = steps.run("missing", &mut Command::new("no-such-program")).unwrap_err().to_string();
        assert!(missing.contains("step `missing` could not run"), "{missing}");
        assert_eq!(steps.done.len(), 3);
    }

    #[test]
    fn cargo_is_not_told_of_this_package() {
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some(), "the test runs under cargo");
        let command = cargo(&["--version"]);
        let removed =
            |wanted: &str| command.get_envs().any(|(name, value)| name == wanted && value.is_none());
        assert!(removed("CARGO_PKG_NAME") && removed("CARGO_MANIFEST_DIR"), "{command:?}");
        assert!(!removed("PATH"));
    }

    #[test]
    fn closing_lines_are_kept_and_others_are_not() {
        let mut copy = Vec::new();
        let text = "running 2 tests\ntest a ... ok\n     Summary [   0.1s] 2 tests run: 2 passed, 0 skipped\n\
            test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured";
        let closing = copy_lines(text.as_bytes(), &mut copy).unwrap();
        assert_eq!(copy, text.as_bytes());
        assert_eq!(closing.len(), 2);
        assert!(closing[0].starts_with("Summary") && closing[1].contains("2 passed"));
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_does_not_end_is_stopped() {
        let mut steps = Steps::default();
        let mut endless = Command::new("tail");
        endless.args(["-f", "/dev/null"]);
        let failure = steps.run_within("endless", Duration::from_millis(50), &mut endless).unwrap_err();
        assert!(failure.to_string().contains("step `endless` failed"), "{failure}");
        let mut quick = Command::new("sh");
        quick.args(["-c", "exit 3"]);
        let failure = steps.run_within("quick", Duration::from_secs(60), &mut quick).unwrap_err();
        assert!(failure.to_string().contains("exit status: 3"), "{failure}");
    }
}
