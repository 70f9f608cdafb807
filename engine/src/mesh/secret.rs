//! The cluster's secret: what all its processes have read from a file, and strangers have not.
//!
//! It proves who speaks (a keyed BLAKE3 over both sides' random bytes); it encrypts nothing.

use blake3::{Hash, Hasher};

/// Fewer bytes could be guessed.
const BYTES_MIN: usize = 16;

/// A key made of the secret.
#[derive(Clone)]
pub struct MeshSecret([u8; 32]);

impl MeshSecret {
    /// Of a file's content; white space around it does not count.
    ///
    /// # Errors
    /// Where it is too short to be a secret.
    pub fn new(content: &[u8]) -> Result<MeshSecret, String> {
        let content = content.trim_ascii();
        if content.len() < BYTES_MIN {
            return Err(format!("a secret has at least {BYTES_MIN} bytes, this has {}", content.len()));
        }
        Ok(MeshSecret(blake3::derive_key("millrace 2026-11-26 connections of a cluster", content)))
    }

    /// Proves that whoever says `parts` for `purpose` has the secret. Comparing two takes the same time always.
    pub(super) fn proof(&self, purpose: &str, parts: &[&[u8]]) -> Hash {
        let mut hasher = Hasher::new_keyed(&self.0);
        for part in [purpose.as_bytes()].iter().chain(parts) {
            // With the length, so that no two lists of parts look the same.
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        hasher.finalize()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_depends_on_all_that_it_is_for() {
        let secret = MeshSecret::new(b"  sixteen bytes it is \n").unwrap();
        let proof = secret.proof("connect", &[b"ab", b"c"]);
        assert_eq!(proof, MeshSecret::new(b"sixteen bytes it is").unwrap().proof("connect", &[b"ab", b"c"]));
        assert_ne!(proof, secret.proof("connect", &[b"a", b"bc"]));
        assert_ne!(proof, secret.proof("accept", &[b"ab", b"c"]));
        assert_ne!(proof, MeshSecret::new(b"Sixteen bytes it is").unwrap().proof("connect", &[b"ab", b"c"]));
        assert!(MeshSecret::new(b"too short      \n").is_err());
    }
}
