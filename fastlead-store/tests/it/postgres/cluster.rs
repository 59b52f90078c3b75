//! A private PostgreSQL for tests: one server for all test processes of this build, and a database for each test.
//!
//! The first test that needs it makes and starts it, in a temporary folder and behind a Unix socket there. A guardian process stops
//! it and removes the folder when nobody uses it any more. Users are told by locks on a file, which the system releases also where a
//! test is killed. With `DATABASE_URL` in the environment that server is used instead; databases that killed tests have left there
//! are removed by later ones.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use fastlead_store::{PostgresOptions, PostgresStore};

/// Tables of the program's version, made once.
const TEMPLATE: &str = "fastlead_template";
/// Names of databases begin so.
const PREFIX: &str = "fastlead_test_";
/// A database is left over from a test that was killed when it is older than this many seconds.
const LEFT_OVER: u64 = 3_600;

/// Waits until nobody holds the lock of `$1`, twice in two seconds; then stops the server and removes it.
const GUARDIAN: &str = r#"
exec 9<>"$1"
while :; do
  flock -x 9; flock -u 9; sleep 2
  if flock -n -x 9; then break; fi
done
$4 "$3/pg_ctl" -D "$2/data" -m immediate -w stop
rm -rf "$2" "$5"
"#;

/// A server on which tests make databases.
#[derive(Debug)]
struct Cluster {
    /// Address of a database by its name.
    url: fn(&Path, &str) -> String,
    socket: PathBuf,
    programs: PathBuf,
    is_private: bool,
    _user: Option<File>,
}

/// An empty database with the program's tables, removed at the end.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    cluster: &'static Cluster,
}

impl Database {
    /// A database with the tables of the program's version.
    pub(crate) async fn new() -> Self {
        let cluster = cluster().await;
        let from = if cluster.is_private { TEMPLATE } else { "template0" };
        Self::copy(cluster, from)
    }

    /// A database with nothing in it.
    pub(crate) async fn empty() -> Self {
        Self::copy(cluster().await, "template0")
    }

    fn copy(cluster: &'static Cluster, from: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}_{}_{number}", now(), std::process::id());
        cluster.sql(&format!("CREATE DATABASE {name} TEMPLATE {from}"));
        Self { name, cluster }
    }

    pub(crate) fn url(&self) -> String {
        (self.cluster.url)(&self.cluster.socket, &self.name)
    }

    /// How tests open it: on their own clock, and with few connections.
    pub(crate) fn options(&self) -> PostgresOptions {
        PostgresOptions::new(self.url()).connections(8).by_callers_clock()
    }

    pub(crate) async fn open(&self) -> PostgresStore {
        PostgresStore::open(self.options()).await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.cluster.sql(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn cluster() -> &'static Cluster {
    static CLUSTER: tokio::sync::OnceCell<Cluster> = tokio::sync::OnceCell::const_new();
    CLUSTER
        .get_or_init(async || match given_url() {
            Some(_) => given(),
            None => private().await,
        })
        .await
}

/// Address of a server that is to be used.
fn given_url() -> Option<String> {
    std::env::var_os("DATABASE_URL")?.into_string().ok()
}

fn given() -> Cluster {
    let cluster = Cluster {
        url: |_, name| {
            let given = given_url().unwrap();
            let (before, parameters) = given
                .split_once('?')
                .map_or((&*given, String::new()), |(before, after)| (before, format!("?{after}")));
            let server = before.rsplit_once('/').map_or(before, |(server, _)| server);
            format!("{server}/{name}{parameters}")
        },
        socket: PathBuf::new(),
        programs: programs(),
        is_private: false,
        _user: None,
    };
    let names = cluster.sql(&format!("SELECT datname FROM pg_database WHERE datname LIKE '{PREFIX}%'"));
    for name in String::from_utf8_lossy(&names.stdout).lines() {
        let made: Option<u64> =
            name.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next()?.parse().ok());
        if made.is_some_and(|made| made + LEFT_OVER < now()) {
            cluster.sql(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
    cluster
}

async fn private() -> Cluster {
    let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres");
    std::fs::create_dir_all(&state).unwrap();
    let open = |name: &str| {
        File::options().create(true).truncate(false).read(true).write(true).open(state.join(name)).unwrap()
    };
    // One makes it, the others wait for that.
    let starting = open("starting");
    starting.lock().unwrap();
    let user = open("users");
    // A guardian that is about to stop it is waited for.
    user.lock_shared().unwrap();
    let known = state.join("cluster");
    let running = std::fs::read_to_string(&known).ok().map(PathBuf::from);
    let running = running
        .filter(|folder| std::os::unix::net::UnixStream::connect(folder.join(".s.PGSQL.5432")).is_ok());
    let (folder, is_new) = match running {
        Some(folder) => (folder, false),
        None => (start(&state, &known), true),
    };
    let cluster = Cluster {
        url: |socket, name| format!("postgres://fastlead@localhost/{name}?host={}", socket.display()),
        socket: folder.clone(),
        programs: programs(),
        is_private: true,
        _user: Some(user),
    };
    if is_new {
        cluster.sql(&format!("CREATE DATABASE {TEMPLATE}"));
        let url = (cluster.url)(&cluster.socket, TEMPLATE);
        PostgresStore::open(PostgresOptions::new(url)).await.unwrap().close().await.unwrap();
        // Named last: whoever was interrupted begins anew.
        std::fs::write(&known, folder.as_os_str().as_encoded_bytes()).unwrap();
    }
    drop(starting);
    cluster
}

/// Makes a server, starts it and its guardian. Answers its folder.
fn start(state: &Path, known: &Path) -> PathBuf {
    let folder = tempfile::Builder::new().prefix("fastlead-postgres-").tempdir().unwrap().keep();
    let (programs, data) = (programs(), folder.join("data"));
    if is_root() {
        // The server refuses to run as root.
        succeed(Command::new("chown").arg("postgres").arg(&folder));
    }
    let run = |program: &str| {
        let mut command = as_server(&programs.join(program));
        command.stdin(Stdio::null()).stdout(Stdio::null()).current_dir("/");
        command
    };
    let mut initdb = run("initdb");
    initdb.args(["--auth=trust", "--username=fastlead", "--no-sync", "--no-locale", "--encoding=UTF8", "-D"]);
    succeed(initdb.arg(&data));
    let options = format!("-c listen_addresses= -c max_connections=200 -k {}", folder.display());
    let mut pg_ctl = run("pg_ctl");
    pg_ctl.args(["-w", "-o", &options, "-l"]).arg(folder.join("log")).arg("-D").arg(&data).arg("start");
    // Its log file alone keeps what it says: the pipes of a test are not held open.
    pg_ctl.stderr(Stdio::null());
    let started = pg_ctl.status().unwrap();
    assert!(started.success(), "the server does not start; see {}", folder.join("log").display());
    let prefix = if is_root() { "runuser -u postgres --" } else { "" };
    let mut guardian = Command::new("setsid");
    guardian
        .args(["--fork", "sh", "-c", GUARDIAN, "guardian"])
        .args([state.join("users").as_path(), &folder, &programs])
        .arg(prefix)
        .arg(known)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/");
    assert!(guardian.status().unwrap().success(), "the guardian of the server does not start");
    folder
}

/// Where the programs of the newest PostgreSQL are.
fn programs() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
            let mut folders: Vec<(u32, PathBuf)> = debian
                .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
                .collect();
            folders.sort_unstable();
            let path = std::env::var_os("PATH").unwrap_or_default();
            let others = std::env::split_paths(&path).collect::<Vec<_>>();
            let all = folders.into_iter().rev().map(|(_, folder)| folder).chain(others);
            let has_all = |folder: &PathBuf| ["initdb", "pg_ctl", "psql"].iter().all(|name| folder.join(name).exists());
            all.into_iter().find(has_all).expect(
                "PostgreSQL is not installed: `cargo xtask setup` installs it, or name a server in DATABASE_URL",
            )
        })
        .clone()
}

fn is_root() -> bool {
    let user = Command::new("id").arg("-u").output();
    user.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// A program that runs as the server does.
fn as_server(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

fn succeed(command: &mut Command) -> Output {
    let output =
        command.stderr(Stdio::piped()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

impl Cluster {
    fn sql(&self, statement: &str) -> Output {
        let database = (self.url)(&self.socket, "postgres");
        let mut psql = Command::new(self.programs.join("psql"));
        succeed(psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
            "-d",
            &database,
        ]))
    }
}
