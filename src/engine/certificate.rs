//! When the certificate of the service ends.

use std::path::Path;

use time::OffsetDateTime;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::files;

/// The end of the first certificate of a file, the service's own; nothing where it cannot be read.
pub(super) fn end(path: &Path) -> Option<OffsetDateTime> {
    let text = files::read_setting(path).ok()?;
    let first = CertificateDer::from_pem_slice(&text).ok()?;
    let (_, certificate) = X509Certificate::from_der(&first).ok()?;
    OffsetDateTime::from_unix_timestamp(certificate.validity().not_after.timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let folder = std::env::temp_dir().join(format!("sarf-certificate-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut wanted = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        wanted.not_after = rcgen::date_time_ymd(2027, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let path = folder.join("chain.pem");
        files::replace(&path, wanted.self_signed(&key).unwrap().pem().as_bytes()).unwrap();
        assert_eq!(end(&path), Some(time::macros::datetime!(2027-03-01 00:00 UTC)));
        assert_eq!(end(&folder.join("none.pem")), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
