//! The size of the pages of memory.

/// Asks Linux not to give this process pages of 2 MiB, which the allocator of the `fastlead` program would use. Without
/// them the server is as fast and takes a quarter less memory (docs/performance.md). To be called before any thread is
/// started; does nothing elsewhere, and on kernels that do not know the request.
pub fn refuse_huge_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay");
    }
}
