//! The size of the pages of memory.

/// Asks Linux not to give this process pages of 2 MiB, which a system may be set to do for every program
/// (`/sys/kernel/mm/transparent_hugepage/enabled` says `always`): each thread that allocates little would hold much. To be
/// called before any thread is started; does nothing elsewhere, and on kernels that do not know the request.
pub fn refuse_huge_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay");
    }
}
