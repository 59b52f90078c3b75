// After an upgrade of the server an open page goes on: where a part of the old build is gone, the page loads itself anew, and no
// more often than once a minute.
const KEY = 'fastlead:reloaded';
const AT_MOST_EVERY_MILLIS = 60_000;

/** Whether the page may load itself anew now. */
export function mayReload(last: string | null, now: number): boolean {
  const at = last === null ? Number.NaN : Number(last);
  return Number.isNaN(at) || now - at >= AT_MOST_EVERY_MILLIS || at > now;
}

function reload(): void {
  try {
    if (!mayReload(sessionStorage.getItem(KEY), Date.now())) return;
    sessionStorage.setItem(KEY, String(Date.now()));
  } catch {
    // Without storage nothing would stop a page that loads itself again and again.
    return;
  }
  location.reload();
}

let build: string | undefined;
let isOld = false;

/** Learns which build the server has; a page of an earlier one loads itself anew at its next step. */
export function reloadFor(served: string): void {
  build ??= served;
  isOld = build !== served;
}

/** Before another room is shown. */
export function reloadIfOld(): void {
  if (isOld) reload();
}

/** A part of this build is gone. */
export function watchParts(): void {
  addEventListener('vite:preloadError', (event) => {
    event.preventDefault();
    reload();
  });
}
