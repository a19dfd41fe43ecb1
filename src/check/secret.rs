//! Files that look like secrets, by their names and, where a name says too little, by what stands in them.

use crate::content::Content;

/// A file that looks like a secret.
pub(super) struct Secret {
    pub offset: u64,
    pub path: Vec<u8>,
    /// What it looks like.
    pub what: &'static str,
}

/// How much of a file is looked at, in bytes.
const HEAD: u64 = 16 << 10;

/// What a file must have in it.
enum Has {
    /// Something.
    Anything,
    /// One of these texts.
    Text(&'static [&'static str]),
    /// A line that assigns something that is not empty.
    Assignment,
}

/// A kind of secret: where its path ends (a name, or names behind a slash; `*` at its beginning stands for
/// the rest of a name), what must be in it, what it is.
struct Kind(&'static [&'static str], Has, &'static str);

const PRIVATE_KEY: Has = Has::Text(&[
    "PRIVATE KEY-----",
    "PRIVATE KEY BLOCK-----",
    "PuTTY-User-Key-File",
]);

const KINDS: &[Kind] = &[
    Kind(
        &[
            "id_rsa",
            "id_dsa",
            "id_ecdsa",
            "id_ed25519",
            "id_ecdsa_sk",
            "id_ed25519_sk",
            "*_rsa_key",
            "*_ecdsa_key",
            "*_ed25519_key",
            "*_dsa_key",
            "*.pem",
            "*.key",
            "*.ppk",
            "*.asc",
            "*.gpg",
            "*-key",
            "identity",
            "*.priv",
            "*.crt",
            "*.pkcs8",
        ],
        PRIVATE_KEY,
        "a private key",
    ),
    Kind(
        &["*.p12", "*.pfx", "*.jks", "*.keystore"],
        Has::Anything,
        "a store of keys",
    ),
    Kind(
        &[".aws/credentials", ".aws/config"],
        Has::Text(&["aws_secret_access_key", "aws_session_token"]),
        "credentials for AWS",
    ),
    Kind(
        &[
            "application_default_credentials.json",
            "*service-account*.json",
            "*service_account*.json",
            "gcloud/credentials.db",
            "*key*.json",
            "*credential*.json",
        ],
        Has::Text(&[
            "\"private_key\"",
            "\"refresh_token\"",
            "\"client_secret\"",
            "SQLite format",
        ]),
        "credentials for Google Cloud",
    ),
    Kind(
        &[".azure/accessTokens.json", ".azure/msal_token_cache.json"],
        Has::Anything,
        "credentials for Azure",
    ),
    Kind(
        &[".docker/config.json", ".dockercfg", "containers/auth.json"],
        Has::Text(&["\"auth\"", "\"identitytoken\"", "\"password\""]),
        "a login to a registry",
    ),
    Kind(
        &[
            ".kube/config",
            "kubeconfig",
            "*.kubeconfig",
            "kubernetes/admin.conf",
        ],
        Has::Text(&["client-key-data:", "token:", "password:"]),
        "access to a Kubernetes cluster",
    ),
    Kind(
        &[".netrc", "_netrc"],
        Has::Text(&["password"]),
        "passwords for hosts",
    ),
    Kind(&[".git-credentials"], Has::Text(&["://"]), "passwords for git"),
    Kind(&[".pgpass"], Has::Text(&[":"]), "passwords for PostgreSQL"),
    Kind(
        &[".my.cnf", ".mylogin.cnf"],
        Has::Text(&["password"]),
        "passwords for MySQL",
    ),
    Kind(
        &[".npmrc", ".yarnrc", ".yarnrc.yml"],
        Has::Text(&["_authToken", "_auth=", "_password", "npmAuthToken"]),
        "a login to a package registry",
    ),
    Kind(
        &[
            ".pypirc",
            "pip.conf",
            ".pip/pip.conf",
            ".cargo/credentials",
            ".cargo/credentials.toml",
            ".gem/credentials",
            ".nuget/NuGet.Config",
            ".m2/settings.xml",
            ".composer/auth.json",
        ],
        Has::Text(&[
            "password",
            "token",
            "rubygems_api_key",
            "ClearTextPassword",
            "http-basic",
            "oauth",
            "://",
        ]),
        "a login to a package registry",
    ),
    Kind(
        &[
            ".config/gh/hosts.yml",
            ".config/hub",
            ".config/glab-cli/config.yml",
        ],
        Has::Text(&["oauth_token", "token:"]),
        "a login to a code host",
    ),
    Kind(
        &[
            ".vault-token",
            ".terraform.d/credentials.tfrc.json",
            "terraform.tfstate",
        ],
        Has::Anything,
        "infrastructure credentials",
    ),
    Kind(&[".htpasswd"], Has::Text(&[":"]), "passwords of a web server"),
    Kind(
        &["etc/shadow", "etc/shadow-"],
        Has::Text(&[":$"]),
        "the hash of a password",
    ),
    Kind(
        &[
            ".env",
            "*.env",
            ".env.local",
            ".env.production",
            ".env.prod",
            ".env.development",
            ".envrc",
        ],
        Has::Assignment,
        "settings that often hold passwords",
    ),
    Kind(
        &[
            ".bash_history",
            ".zsh_history",
            ".ash_history",
            ".python_history",
            ".psql_history",
        ],
        Has::Anything,
        "what somebody typed",
    ),
];

/// What the file at a path looks like, if it looks like a secret. What cannot be read looks like nothing.
pub(super) fn look(path: &[u8], content: &Content) -> Option<&'static str> {
    let kinds = || {
        KINDS
            .iter()
            .filter(|kind| kind.0.iter().any(|pattern| fits(path, pattern.as_bytes())))
    };
    if content.is_empty() || kinds().next().is_none() {
        return None;
    }
    let mut head = vec![0; content.len().min(HEAD) as usize];
    content.read_at(0, &mut head).ok()?;
    kinds().find(|kind| kind.1.is_in(&head)).map(|kind| kind.2)
}

/// Whether a path ends as a pattern says.
fn fits(path: &[u8], pattern: &[u8]) -> bool {
    let mut parts = pattern.rsplit(|&byte| byte == b'/');
    let mut names = path.rsplit(|&byte| byte == b'/');
    parts.all(|part| names.next().is_some_and(|name| name_fits(name, part)))
}

/// Whether a name is what a pattern with `*` for anything says.
fn name_fits(name: &[u8], pattern: &[u8]) -> bool {
    let mut parts = pattern.split(|&byte| byte == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&[u8]> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = find(rest, part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    match what {
        [] => Some(0),
        what => bytes.windows(what.len()).position(|window| window == what),
    }
}

impl Has {
    fn is_in(&self, head: &[u8]) -> bool {
        match self {
            Self::Anything => true,
            Self::Text(texts) => texts.iter().any(|text| find(head, text.as_bytes()).is_some()),
            Self::Assignment => head.split(|&byte| byte == b'\n').any(|line| {
                let equals = line.iter().position(|&byte| byte == b'=');
                let value = equals.map(|at| line[at + 1..].trim_ascii());
                !line.trim_ascii_start().starts_with(b"#")
                    && value.is_some_and(|value| !matches!(value, b"" | b"\"\"" | b"''"))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n";
        let cases = [
            ("/root/.ssh/id_rsa", key, Some("a private key")),
            ("/root/.ssh/id_rsa.pub", "ssh-rsa AAAA", None),
            ("/etc/ssh/ssh_host_ed25519_key", key, Some("a private key")),
            ("/etc/ssl/certs/ca.pem", "-----BEGIN CERTIFICATE-----", None),
            (
                "/srv/tls.pem",
                "-----BEGIN RSA PRIVATE KEY-----",
                Some("a private key"),
            ),
            ("/etc/.env", "# A=b\nTOKEN=\n", None),
            (
                "/app/.env",
                "TOKEN=abc\n",
                Some("settings that often hold passwords"),
            ),
            (
                "/app/prod.env",
                "A=''\nB=1",
                Some("settings that often hold passwords"),
            ),
            ("/app/env", "A=1", None),
            (
                "/root/.aws/credentials",
                "aws_secret_access_key = x",
                Some("credentials for AWS"),
            ),
            ("/aws/credentials", "aws_secret_access_key = x", None),
            ("/root/.npmrc", "registry=https://example.org", None),
            (
                "/root/.npmrc",
                "//r/:_authToken=x",
                Some("a login to a package registry"),
            ),
            ("/root/.docker/config.json", "{\"auths\":{}}", None),
            (
                "/root/.docker/config.json",
                "{\"auths\":{\"r\":{\"auth\":\"eA==\"}}}",
                Some("a login to a registry"),
            ),
            ("/etc/shadow", "root:*:19000:0:99999:7:::", None),
            (
                "/etc/shadow",
                "root:$6$x$y:19000:0:99999:7:::",
                Some("the hash of a password"),
            ),
            (
                "/x/my-service-account-1.json",
                "{\"private_key\": 1}",
                Some("credentials for Google Cloud"),
            ),
            ("/root/.bash_history", "", None),
        ];
        for (path, text, expected) in cases {
            assert_eq!(
                look(path.as_bytes(), &Content::inline(text.as_bytes())),
                expected,
                "{path}: {text}"
            );
        }
    }
}
