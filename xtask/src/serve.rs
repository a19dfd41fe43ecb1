//! A small static file server for the built page, on this machine only.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::run::{Failure, Outcome};

const DEFAULT_PORT: u16 = 8765;

/// A request's head that is longer comes from nothing that wants this page.
const LONGEST_HEAD: u64 = 16 * 1024;

/// How the page is served.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    port: Option<u16>,
    open: bool,
}

impl Options {
    /// Reads them from the command line.
    pub fn parse(arguments: &[&str]) -> Outcome<Self> {
        let mut options = Self {
            port: None,
            open: true,
        };
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            match argument {
                "--no-open" => options.open = false,
                "--port" => {
                    let port = arguments
                        .next()
                        .ok_or_else(|| Failure::new("--port needs a number"))?;
                    options.port = Some(
                        port.parse()
                            .map_err(|_| Failure::new(format!("not a port: {port}")))?,
                    );
                }
                other => return Err(Failure::new(format!("no such option of serve: {other}"))),
            }
        }
        Ok(options)
    }
}

/// Serves a directory until the process is ended.
pub fn serve(root: &Path, options: &Options) -> Outcome {
    let root = fs::canonicalize(root).map_err(|error| Failure::at(root, &error))?;
    let listener = listen(options.port)?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::new(format!("no address: {error}")))?;
    let address = format!("http://{address}/");
    println!("handroll is at {address} (Ctrl-C ends it)");
    if options.open {
        open_browser(&address);
    }
    for connection in listener.incoming() {
        // One visitor's broken connection is no reason to stop for the others.
        let Ok(connection) = connection else { continue };
        let root = root.clone();
        thread::spawn(move || {
            let _ = converse(connection, &root);
        });
    }
    Ok(())
}

/// Listens at the port asked for, else at the usual one, else where there is room.
fn listen(port: Option<u16>) -> Outcome<TcpListener> {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    match port {
        Some(port) => at(port).map_err(|error| Failure::new(format!("port {port}: {error}"))),
        None => at(DEFAULT_PORT)
            .or_else(|_| at(0))
            .map_err(|error| Failure::new(format!("no port to listen at: {error}"))),
    }
}

/// Reads one request and answers it.
fn converse(connection: TcpStream, root: &Path) -> io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut head = BufReader::new(connection.try_clone()?).take(LONGEST_HEAD);
    let mut request = String::new();
    head.read_line(&mut request)?;
    let mut line = String::new();
    // The rest of the head is read, as closing with unread bytes would reset the connection.
    while head.read_line(&mut line)? > 2 {
        line.clear();
    }
    respond(&request, root, connection)
}

/// What is sent back, but for whether the body goes with it.
struct Answer {
    status: &'static str,
    mime: &'static str,
    extra: &'static str,
    body: Vec<u8>,
}

fn respond(request: &str, root: &Path, mut out: impl Write) -> io::Result<()> {
    let mut words = request.split_whitespace();
    let (method, answer) = match (words.next(), words.next(), words.next()) {
        (Some(method), Some(target), Some(_version)) => (method, answer(method, target, root)),
        _ => ("", refusal("400 Bad Request", "")),
    };
    // `no-cache`: after another build the same addresses have other contents.
    write!(
        out,
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-cache\r\n\
         X-Content-Type-Options: nosniff\r\n{}Connection: close\r\n\r\n",
        answer.status,
        answer.mime,
        answer.body.len(),
        answer.extra
    )?;
    if method != "HEAD" {
        out.write_all(&answer.body)?;
    }
    out.flush()
}

fn answer(method: &str, target: &str, root: &Path) -> Answer {
    if !matches!(method, "GET" | "HEAD") {
        return refusal("405 Method Not Allowed", "Allow: GET, HEAD\r\n");
    }
    let read = |file: PathBuf| Some((fs::read(&file).ok()?, mime_type(&file)));
    match file_for(target, root).and_then(read) {
        Some((body, mime)) => Answer {
            status: "200 OK",
            mime,
            extra: "",
            body,
        },
        None => refusal("404 Not Found", ""),
    }
}

fn refusal(status: &'static str, extra: &'static str) -> Answer {
    Answer {
        status,
        mime: "text/plain; charset=utf-8",
        extra,
        body: format!("{status}\n").into_bytes(),
    }
}

/// The file that a request's target names, if there is one inside the root.
fn file_for(target: &str, root: &Path) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let path = PathBuf::from(percent_decoded(path)?);
    // Nothing but plain names: no `..`, no second root, no drive.
    if !path
        .components()
        .all(|component| matches!(component, Component::Normal(_)))
    {
        return None;
    }
    let mut file = root.join(path);
    if file.is_dir() {
        file.push("index.html");
    }
    // A link in the directory must not lead out of it either.
    let file = fs::canonicalize(file).ok()?;
    (file.starts_with(root) && file.is_file()).then_some(file)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex_digit(rest.next()?)? * 16 + hex_digit(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

fn mime_type(file: &Path) -> &'static str {
    match file
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
    {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        "tar" => "application/x-tar",
        _ => "application/octet-stream",
    }
}

/// Opens the page where there is a screen. Whoever has no browser still has the address.
fn open_browser(address: &str) {
    let has_display = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if has_display("DISPLAY") || has_display("WAYLAND_DISPLAY") {
        "xdg-open"
    } else {
        return;
    };
    let mut command = Command::new(opener);
    command
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _ = command.spawn();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::write;

    /// A served directory with a secret beside it.
    struct Site(PathBuf);

    impl Site {
        fn new(name: &str) -> Self {
            let top = env::temp_dir().join(format!("handroll-serve-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&top);
            write(&top.join("secret.txt"), "secret").unwrap();
            write(&top.join("root/index.html"), "<p>hello").unwrap();
            write(&top.join("root/a b/core_bg.wasm"), "wasm").unwrap();
            Self(fs::canonicalize(top).unwrap())
        }

        fn root(&self) -> PathBuf {
            self.0.join("root")
        }

        fn answer(&self, request: &str) -> String {
            let mut out = Vec::new();
            respond(request, &self.root(), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        }
    }

    impl Drop for Site {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn files_are_served_with_their_types() {
        let site = Site::new("files");
        let page = site.answer("GET /?x=1 HTTP/1.1\r\n");
        assert!(
            page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html"),
            "{page}"
        );
        assert!(
            page.contains("Content-Length: 8\r\n") && page.ends_with("\r\n\r\n<p>hello"),
            "{page}"
        );
        assert!(
            site.answer("GET /a%20b/core_bg.wasm HTTP/1.1")
                .contains("Content-Type: application/wasm")
        );
    }

    #[test]
    fn head_has_no_body() {
        let head = Site::new("head").answer("HEAD /index.html HTTP/1.1");
        assert!(
            head.contains("Content-Length: 8\r\n") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
    }

    #[test]
    fn nothing_outside_is_served() {
        let site = Site::new("outside");
        std::os::unix::fs::symlink(site.0.join("secret.txt"), site.root().join("link")).unwrap();
        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/a b/../../secret.txt",
            "/link",
            "//etc/passwd",
        ] {
            assert_eq!(file_for(path, &site.root()), None, "{path}");
        }
        for path in [
            "/..%2fsecret.txt",
            "/%2fetc/passwd",
            "/%00",
            "/%zz",
            "/%2",
            "relative",
            "/none",
        ] {
            assert_eq!(file_for(path, &site.root()), None, "{path}");
        }
    }

    #[test]
    fn other_requests_are_refused() {
        let site = Site::new("refused");
        assert!(site.answer("POST / HTTP/1.1").contains("405 Method Not Allowed"));
        assert!(site.answer("POST / HTTP/1.1").contains("Allow: GET, HEAD\r\n"));
        assert!(site.answer("GET /none HTTP/1.1").starts_with("HTTP/1.1 404"));
        assert!(site.answer("GET\r\n").starts_with("HTTP/1.1 400"));
    }

    #[test]
    fn a_browser_gets_a_whole_answer() {
        let site = Site::new("socket");
        let listener = listen(Some(0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
            .unwrap();
        converse(listener.accept().unwrap().0, &site.root()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("<p>hello"), "{answer}");
    }

    #[test]
    fn a_port_that_is_asked_for_is_not_swapped() {
        let held = listen(Some(0)).unwrap();
        let port = held.local_addr().unwrap().port();
        assert!(listen(Some(port)).is_err());
    }

    #[test]
    fn options_are_read() {
        let options = Options::parse(&["--port", "80", "--no-open"]).unwrap();
        assert_eq!(
            options,
            Options {
                port: Some(80),
                open: false
            }
        );
        for wrong in [&["--port"][..], &["--port", "x"], &["--open"], &["70000"]] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
