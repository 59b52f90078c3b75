//! `cargo xtask power`: the power is lost at many points of a busy day.

use crate::steps::cargo;
use crate::{Failure, Outcome};

/// The test that does it, with the size of its run in the environment.
const TEST: [&str; 9] = [
    "test",
    "--locked",
    "--package",
    "fastlead-store",
    "--test",
    "it",
    "power::no_acknowledged_lead_is_lost_with_the_power",
    "--",
    "--exact",
];

/// Number of cut points, unless `--cuts` says another.
const CUTS: u64 = 10_000;

/// Runs the test of the store with many cut points; it says itself what does not hold.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let mut command = cargo(&TEST);
    command.arg("--nocapture").envs(environment(options)?);
    let status =
        command.status().map_err(|error| Failure::new(format!("power: cargo cannot be started: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::new("power: something does not hold; see above")) }
}

/// The options as the variables that the test reads.
fn environment(options: &[&str]) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut variables = vec![("FASTLEAD_POWER_CUTS", CUTS.to_string())];
    for pair in options.chunks(2) {
        let name = match pair[0] {
            "--cuts" => "FASTLEAD_POWER_CUTS",
            "--seed" => "FASTLEAD_POWER_SEED",
            "--leads" => "FASTLEAD_POWER_LEADS",
            other => {
                return Err(Failure::new(format!(
                    "power: unknown option `{other}`: --cuts, --seed, --leads"
                )));
            }
        };
        let value = pair.get(1).copied().unwrap_or_default();
        if value.parse::<u64>().is_err() {
            return Err(Failure::new(format!("power: `{}` wants a number, and `{value}` is none", pair[0])));
        }
        variables.retain(|(other, _)| *other != name);
        variables.push((name, value.to_owned()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_what_the_test_reads() {
        let cuts = |options: &[&str]| environment(options).map_err(|failure| failure.to_string());
        assert_eq!(cuts(&[]).unwrap(), [("FASTLEAD_POWER_CUTS", "10000".to_owned())]);
        let both = cuts(&["--seed", "7", "--cuts", "50"]).unwrap();
        assert_eq!(both, [("FASTLEAD_POWER_SEED", "7".to_owned()), ("FASTLEAD_POWER_CUTS", "50".to_owned())]);
        assert!(cuts(&["--cuts"]).unwrap_err().contains("wants a number"));
        assert!(cuts(&["--cut", "5"]).unwrap_err().contains("unknown option `--cut`"));
    }
}
