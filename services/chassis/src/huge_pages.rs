//! Memory in pages of the usual size.

use rustix::thread::disable_transparent_huge_pages;

/// Takes no huge pages. The allocator asks for them, and each is resident as a whole, 2 MiB, once a byte of it is written:
/// an idle service would hold three times of what it uses
/// (<https://docs.kernel.org/admin-guide/mm/transhuge.html>).
pub(crate) fn disable() {
    // Without it the service only takes more memory.
    disable_transparent_huge_pages(true).ok();
}
