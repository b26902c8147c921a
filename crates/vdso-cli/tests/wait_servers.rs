//! Servers with a clock of their own keep their clients waiting as long as that says, and give up when it says so.
//! Each is Debian's, and listens on a socket in a folder of the test's.

mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use support::shell::Shell;
use support::{Finished, finish, scratch, vdso_run};
use tempfile::TempDir;
use test_support::{Lacking, skip};

/// Options, and how many seconds of the program's are a short wait.
const MODES: [(&[&str], &str); 3] = [
    (&["--offset", "+400d"], "0.5"),
    (&["--offset", "+400d", "--clocks", "all"], "0.5"),
    (&["--rate", "1000", "--clocks", "all"], "500"),
];

/// Servers that are started by root want to be nobody.
fn as_nobody(command: &[&str]) -> Vec<String> {
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let is_root = nix::unistd::getuid().is_root();
    let before = if is_root { &nobody[..] } else { &[] };
    before.iter().chain(command).map(|&word| word.to_owned()).collect()
}

fn run_as_nobody(command: &[&str]) -> Command {
    let words = as_nobody(command);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// A folder that nobody may write to.
fn folder() -> TempDir {
    let folder = scratch();
    if nix::unistd::getuid().is_root() {
        std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534)).expect("root may");
    }
    folder
}

/// Whether all these are here; if not, that is reported.
fn has(name: &str, tools: &[&str], package: &str) -> bool {
    let is_here = |tool: &&str| {
        let mut command = Command::new(tool);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let lacking = tools.iter().find(|tool| !is_here(tool));
    if let Some(tool) = lacking {
        let reason = format!("there is no {tool} (package {package})");
        skip(Lacking::Tool, &format!("waits of {name}"), &reason);
    }
    lacking.is_none()
}

/// Starts a server in each mode, waits until it answers `hello`, and has `ask` talk to it.
#[track_caller]
fn serve(server: &[&str], hello: impl Fn() -> Command, ask: impl Fn(&str)) {
    for (options, span) in MODES {
        let mut run = vdso_run(options);
        let server = Shell::start(run.args(as_nobody(server)).stderr(Stdio::null()));
        let start = Instant::now();
        while !hello().output().is_ok_and(|tried| tried.status.success()) {
            assert!(start.elapsed() < support::LIMIT, "{run:?} does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        ask(span);
        let _ = kill(server.pid(), Signal::SIGTERM);
        let mut server = server;
        server.read_to_end();
        server.wait();
    }
}

#[test]
fn waits_of_redis() {
    if !has("redis", &["redis-server", "redis-cli"], "redis-server") {
        return;
    }
    let folder = folder();
    let socket = folder.path().join("socket");
    let [socket, path] = [&socket, folder.path()].map(|path| path.to_str().expect("it is UTF-8"));
    let ask = |words: &[&str]| -> Finished {
        finish(Command::new("redis-cli").args(["-s", socket]).args(words)).succeeded()
    };
    let hello = || {
        let mut command = Command::new("redis-cli");
        command.args(["-s", socket, "ping"]);
        command
    };
    let server =
        ["redis-server", "--port", "0", "--unixsocket", socket, "--dir", path, "--save", ""];
    serve(&server, hello, |span| {
        assert_eq!(ask(&["blpop", "nothing", span]).stdout.trim(), "");
        let ms = format!("{}", (span.parse::<f64>().expect("it is a number") * 1000.0) as u64);
        assert_eq!(ask(&["set", "key", "value", "px", &ms]).stdout.trim(), "OK");
        let start = Instant::now();
        while ask(&["exists", "key"]).stdout.trim() == "1" {
            assert!(start.elapsed() < support::LIMIT, "the key stays");
        }
    });
}

/// A program of PostgreSQL's, which Debian keeps out of `PATH`.
fn of_postgresql(name: &str) -> String {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut paths = versions.map(|version| version.path().join("bin").join(name));
    let path = paths.find(|path| path.exists());
    path.and_then(|path| path.to_str().map(str::to_owned)).unwrap_or_else(|| name.to_owned())
}

#[test]
fn waits_of_postgresql() {
    let [initdb, postgres] = ["initdb", "postgres"].map(of_postgresql);
    if !has("PostgreSQL", &[&initdb, &postgres, "psql"], "postgresql") {
        return;
    }
    let folder = folder();
    let data = folder.path().join("data");
    let [data, path] = [&data, folder.path()].map(|path| path.to_str().expect("it is UTF-8"));
    finish(&mut run_as_nobody(&[&initdb, "-A", "trust", "-U", "me", "-N", "-D", data])).succeeded();
    let ask = |query: &str| {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-h", path, "-U", "me", "-At", "-c", query, "postgres"]);
        psql
    };
    let settings = format!("-cunix_socket_directories={path}");
    let server = [postgres.as_str(), "-D", data, "-clisten_addresses=", &settings, "-cfsync=off"];
    serve(
        &server,
        || ask("select 1"),
        |span| {
            let slept = finish(&mut ask(&format!(
                "with before as materialized (select clock_timestamp() as at), \
             slept as materialized (select pg_sleep({span}), at from before) \
             select clock_timestamp() - at >= '{span} s' from slept"
            )));
            assert_eq!(slept.succeeded().stdout, "t\n");
            let timeout = format!("set statement_timeout = '{span} s'; select pg_sleep(1e9)");
            let timed_out = finish(&mut ask(&timeout)).said(&["due to statement timeout"]);
            assert!(!timed_out.status.success());
            let timeout = format!("set lock_timeout = '{span} s'; select pg_advisory_lock(1)");
            finish(&mut ask(&timeout)).succeeded();
        },
    );
}

#[test]
fn waits_of_mariadb() {
    let tools = ["mariadbd", "mariadb-install-db", "mariadb"];
    if !has("MariaDB", &tools[..1], "mariadb-server-core")
        || !has("MariaDB", &tools[2..], "mariadb-client-core")
    {
        return;
    }
    let folder = folder();
    let (data, socket) = (folder.path().join("data"), folder.path().join("socket"));
    let [data, socket] = [&data, &socket].map(|path| path.to_str().expect("it is UTF-8"));
    let options = [
        &format!("--datadir={data}"),
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ];
    finish(&mut run_as_nobody(&[&["mariadb-install-db", "--no-defaults"], &options[..]].concat()))
        .succeeded();
    let ask = |query: &str| {
        let mut mariadb = Command::new("mariadb");
        mariadb.args(["--no-defaults", "-S", socket, "-u", "root", "-N", "-B", "-e", query]);
        mariadb
    };
    let (data, listen) = (format!("--datadir={data}"), format!("--socket={socket}"));
    let server = [
        "mariadbd",
        "--no-defaults",
        &data,
        &listen,
        "--skip-networking",
        "--innodb-buffer-pool-size=8M",
    ];
    serve(
        &server,
        || ask("select 1"),
        |span| {
            let query = format!(
                "set @at = sysdate(6); select sleep({span}), timestampdiff(microsecond, @at, sysdate(6)) >= {span} * 1e6"
            );
            assert_eq!(finish(&mut ask(&query)).succeeded().stdout, "0\t1\n");
            let query = format!("set max_statement_time = {span}; select sleep(1e6)");
            let timed_out = finish(&mut ask(&query)).said(&["max_statement_time exceeded"]);
            assert!(!timed_out.status.success());
        },
    );
}
