//! The child process: sets its part up, says where it listens, and does what it is asked.

use std::io::Write as _;

use tokio::sync::mpsc;

use crate::protocol::{Answer, Command, Part, Spec, Started};
use crate::responders;
use crate::server::Running;

/// Runs until it is told to stop, or its parent is gone.
pub(crate) async fn run(spec: Spec) {
    let mut commands = commands();
    let server = match spec.part {
        Part::Server => Some(Running::start(&spec).await),
        Part::Echo | Part::Responder => None,
    };
    let address = match (&server, spec.part) {
        (Some(server), _) => server.address,
        (None, Part::Echo) => responders::echo().await,
        (None, _) => responders::responder().await,
    };
    say(&Started { address });
    while let Some(command) = commands.recv().await {
        let answer = match (&server, command) {
            (_, Command::Stop) => break,
            (None, _) => Answer::default(),
            (Some(server), Command::Pause | Command::Resume) => {
                server.pause(matches!(command, Command::Pause));
                Answer::default()
            }
            (Some(server), Command::Drain { sends }) => server.drain(sends).await,
            (Some(server), Command::Counts) => server.counts().await,
            (Some(server), Command::Moments) => server.moments(),
        };
        say(&answer);
    }
    if let Some(server) = server {
        server.stop().await;
    }
}

fn say(line: &impl serde::Serialize) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(line).unwrap()).unwrap();
    stdout.flush().unwrap();
}

/// Reads on a thread of its own; reading a pipe of this kind blocks.
fn commands() -> mpsc::UnboundedReceiver<Command> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let command = serde_json::from_str(&line).expect("the parent writes what the child reads");
            if sender.send(command).is_err() {
                return;
            }
        }
    });
    receiver
}
