//! TLS 1.2 and 1.3 for the service.
//!
//! Input: PEM files with a certificate chain and its key. Output: an acceptor. Guarantee: files that do not belong
//! together are refused at the start. Limit: they are read once; a new certificate needs a new start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::domain::hint::{Hint, NextStep};
use crate::files;

/// Why TLS cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of the two settings stands without the other.
    #[error("only one of `tls_certificate` and `tls_key` is set")]
    Alone,
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No certificate in the file.
    #[error("`{}` holds no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    /// No key in the file.
    #[error("`{}` holds no private key in PEM form", .0.display())]
    NoKey(PathBuf),
    /// The two do not belong together, or are of a kind that is not used any more.
    #[error("the certificate and the key cannot be used together")]
    Unusable(#[source] rustls::Error),
}

impl Hint for TlsError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Alone => "set both in sarf.toml, part [service], or neither".into(),
            Self::Read { .. } | Self::NoCertificate(_) | Self::NoKey(_) | Self::Unusable(_) => {
                "correct `tls_certificate` and `tls_key` in sarf.toml, part [service]".into()
            }
        })
    }

    fn system_hint(&self) -> Option<NextStep> {
        match self {
            Self::Read { path, source } => files::path_hint(path, source),
            _ => None,
        }
    }
}

#[cfg(test)]
crate::domain::hint::samples!(TlsError {
    Self::Alone => Self::Alone,
    Self::Read { .. } => Self::Read { path: "tls.pem".into(), source: std::io::ErrorKind::NotFound.into() },
    Self::NoCertificate(_) => Self::NoCertificate("tls.pem".into()),
    Self::NoKey(_) => Self::NoKey("tls.pem".into()),
    Self::Unusable(_) => Self::Unusable(rustls::Error::DecryptError),
});

/// TLS for a listener.
#[derive(Clone)]
pub struct Tls(pub(super) TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(…)")
    }
}

impl Tls {
    /// From the two settings; `None` where neither is made.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn configured(certificate: Option<&Path>, key: Option<&Path>) -> Result<Option<Self>, TlsError> {
        match (certificate, key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Self::read(certificate, key).map(Some),
            _ => Err(TlsError::Alone),
        }
    }

    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let fault = |path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::Read { path, source }
        };
        let text = files::read_setting(certificate).map_err(fault(certificate))?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .map_err(|_| TlsError::NoCertificate(certificate.to_owned()))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(certificate.to_owned()));
        }
        let secret = files::read_secret(key).map_err(fault(key))?;
        let key = PrivateKeyDer::from_pem_slice(&secret).map_err(|_| TlsError::NoKey(key.to_owned()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = std::env::temp_dir().join(format!("sarf-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            files::replace(&path, text.as_bytes()).unwrap();
            path
        };
        let certificate = file("chain.pem", &made.cert.pem());
        let key = file("key.pem", &made.signing_key.serialize_pem());
        let other_key = file("other.pem", &other.signing_key.serialize_pem());
        let empty = file("empty.pem", "");
        let missing = folder.join("missing.pem");
        let open = file("open.pem", &made.signing_key.serialize_pem());
        std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        let check = |certificate: Option<&PathBuf>, key: Option<&PathBuf>, expected: &str| {
            let read = Tls::configured(certificate.map(PathBuf::as_path), key.map(PathBuf::as_path));
            let said = match read {
                Ok(found) => format!("{}", found.is_some()),
                Err(error) => error.to_string(),
            };
            assert!(said.contains(expected), "{said}, not {expected}");
        };
        check(None, None, "false");
        check(Some(&certificate), Some(&key), "true");
        check(Some(&certificate), None, "only one of");
        check(Some(&missing), Some(&key), "missing.pem");
        check(Some(&empty), Some(&key), "holds no certificate");
        check(Some(&certificate), Some(&empty), "holds no private key");
        check(Some(&certificate), Some(&open), "open.pem");
        check(Some(&certificate), Some(&other_key), "cannot be used together");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
