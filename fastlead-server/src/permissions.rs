//! Files that hold secrets or personal data are for their owner.

use std::path::Path;

use fastlead_core::Result;

/// Takes away what others may do with the key file, wherever a link leads.
///
/// # Errors
/// [`fastlead_core::ErrorKind::Config`] where others may read or change it and that cannot be taken away.
#[cfg(unix)]
pub(crate) fn guard_keys(path: &Path) -> Result<()> {
    use fastlead_core::{Error, ErrorKind};

    // The group may read it: so secrets of an orchestrator come, which belong to another user.
    let Err(mode) = close(path, 0o027) else { return Ok(()) };
    let message = format!(
        "{}: others may read or change this file with keys (mode {mode:o}); make it 0600 (or 0640)",
        path.display()
    );
    Err(Error::new(ErrorKind::Config, message).with_operation("open keys"))
}

/// Takes away what others may do with the files of the database; says so where it cannot.
#[cfg(unix)]
pub(crate) fn guard_database(path: &Path) {
    for side in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(side);
        if let Err(mode) = close(Path::new(&name), 0o007) {
            tracing::warn!(
                file = %Path::new(&name).display(), mode = format!("{mode:o}"),
                "others may read this file, which holds personal data; make it 0600"
            );
        }
    }
}

/// Takes these rights away where somebody has them; returns the mode where that fails. A link is followed, and a file that is
/// not there is fine.
#[cfg(unix)]
fn close(path: &Path, rights: u32) -> std::result::Result<(), u32> {
    use std::os::unix::fs::PermissionsExt as _;

    let Ok(metadata) = std::fs::metadata(path) else { return Ok(()) };
    let mode = metadata.permissions().mode() & 0o7777;
    if !metadata.is_file() || mode & rights == 0 {
        return Ok(());
    }
    let closed = std::fs::Permissions::from_mode(mode & !rights);
    std::fs::set_permissions(path, closed).map_err(|_| mode)?;
    tracing::warn!(file = %path.display(), was = format!("{mode:o}"), "others could open this file; not any more");
    Ok(())
}

#[cfg(not(unix))]
pub(crate) const fn guard_keys(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(not(unix))]
pub(crate) const fn guard_database(_: &Path) {}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn others_lose_their_rights_also_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.keys"), folder.path().join("link.keys"));
        std::fs::write(&file, "1:x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for (before, after) in
            [(0o644, 0o640), (0o666, 0o640), (0o600, 0o600), (0o640, 0o640), (0o400, 0o400)]
        {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(before)).unwrap();
            guard_keys(&link).unwrap();
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, after, "{before:o}");
        }
        guard_keys(&folder.path().join("absent")).unwrap();
        for side in ["lead.db", "lead.db-wal"] {
            let path = folder.path().join(side);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        guard_database(&folder.path().join("lead.db"));
        for side in ["lead.db", "lead.db-wal"] {
            let mode = std::fs::metadata(folder.path().join(side)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o640, "{side}");
        }
    }
}
