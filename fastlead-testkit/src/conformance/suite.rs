//! What the suites have in common: a list of checks becomes a module of tests, or a report.

/// A module with one test for each check of a suite. `$for_each` is the macro that knows the names of
/// the checks of `conformance::$suite::checks`, and `$flavor` the runtime that each test gets.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_module {
    ($for_each:ident $suite:ident $flavor:tt $module:ident $harness:ty) => {
        mod $module {
            #[allow(unused_imports, reason = "the harness type may be a path that needs no import")]
            use super::*;

            $crate::$for_each!([$crate::__conformance_tests][$suite $flavor $harness]);
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ([$suite:ident $flavor:tt $harness:ty] $($name:ident)*) => {
        $(
            #[tokio::test(flavor = $flavor)]
            async fn $name() -> ::std::result::Result<(), $crate::conformance::Violation> {
                let check = $crate::conformance::$suite::checks::$name::<$harness>();
                let outcome = $crate::conformance::bounded(check).await;
                $crate::conformance::$suite::settle::<$harness>(stringify!($name), outcome)
            }
        )*
    };
}

/// The names of every check of a suite.
macro_rules! all_names {
    ([] $($name:ident)*) => {
        &[$(stringify!($name)),*]
    };
}

/// Runs every check of the suite in scope, one after another, and gives each name with what it found.
macro_rules! run_all {
    ([$harness:ident] $($name:ident)*) => {{
        let mut outcomes = Vec::new();
        $(outcomes.push((stringify!($name), super::run_one(checks::$name::<$harness>).await));)*
        outcomes
    }};
}
