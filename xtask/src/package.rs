//! `cargo xtask package`: the .crate files as crates.io would get them, without uploading anything.

use crate::metadata::{Package, workspace};
use crate::steps::{Steps, cargo};
use crate::{Failure, Outcome};

/// What crates.io takes at most.
const CRATE_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// Packages every published crate and says how large each has become.
pub(crate) fn run() -> Outcome {
    let workspace = workspace()?;
    let (published, kept): (Vec<Package>, Vec<Package>) =
        workspace.packages.into_iter().partition(|p| p.published);
    let mut arguments = vec!["package", "--workspace", "--no-verify", "--allow-dirty", "--locked"];
    for package in &kept {
        arguments.extend(["--exclude", &package.name]);
    }
    let mut steps = Steps::default();
    // One command for all: cargo then resolves the crates against each other instead of against
    // what is on crates.io.
    steps.run("package", &mut cargo(&arguments))?;

    println!();
    for package in &published {
        let file = format!("{}-{}.crate", package.name, package.version);
        let path = workspace.target_directory.join("package").join(&file);
        let bytes = std::fs::metadata(&path)
            .map_err(|error| Failure::new(format!("`{}` was not made: {error}", path.display())))?
            .len();
        println!("{:>8} KiB  {file}", bytes.div_ceil(1024));
        if bytes > CRATE_BYTES_MAX {
            return Err(Failure::new(format!(
                "{file} is larger than crates.io takes ({CRATE_BYTES_MAX} bytes)"
            )));
        }
    }
    let names: Vec<_> = kept.iter().map(|package| package.name.as_str()).collect();
    println!("not published: {}", names.join(", "));
    Ok(())
}
