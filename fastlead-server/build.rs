//! Packs what the console was built into (`web/console/dist`) and writes the table of it. It runs no other program.

use std::fs;
use std::io::{Error, Result, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> Result<()> {
    let variable =
        |name: &str| std::env::var_os(name).map(PathBuf::from).ok_or(Error::other(name.to_owned()));
    let folder = variable("CARGO_MANIFEST_DIR")?.join("web/console/dist");
    let out = variable("OUT_DIR")?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    list(&folder, &folder, &mut files)?;
    files.sort();
    let mut table = String::from("[\n");
    for (number, name) in files.iter().enumerate() {
        let packed = out.join(format!("console-{number}.gz"));
        // The best compression takes a second or two in a build without optimisation, once for each build of the console.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&fs::read(folder.join(name))?)?;
        fs::write(&packed, encoder.finish()?)?;
        table.push_str(&format!("    ({name:?}, include_bytes!({packed:?}) as &[u8]),\n"));
    }
    table.push_str("]\n");
    fs::write(out.join("console.rs"), table)
}

/// The files below a folder, by their path from `root` with `/`.
fn list(root: &Path, folder: &Path, found: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(root, &path, found)?;
        } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            found.push(name.replace('\\', "/"));
        }
    }
    Ok(())
}
