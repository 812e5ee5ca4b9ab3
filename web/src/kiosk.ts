// A screen that nobody operates: no pointer, no controls, and awake.

// A lock may be lost without a word, such as when the battery was low for a while.
const LOOK_MS = 60_000

let lock: WakeLockSentinel | null = null

/** Make this page one. */
export function beKiosk(): void {
  document.documentElement.classList.add('kiosk')
  // What can't be seen can't be tabbed to either; the keys of the tour still work, for who has a keyboard there.
  for (const name of ['.controls', '.ranking', '.notice']) document.querySelector(name)?.setAttribute('inert', '')
  document.addEventListener('visibilitychange', () => void stayAwake())
  setInterval(() => void stayAwake(), LOOK_MS)
  void stayAwake()
}

/** Have the screen stay on; the browser lets go of that whenever the page is hidden. */
async function stayAwake(): Promise<void> {
  if (document.visibilityState !== 'visible' || (lock !== null && !lock.released)) return
  try {
    lock = (await navigator.wakeLock?.request('screen')) ?? null
  } catch {
    // Not by http from elsewhere, nor while the battery is low: then the screen's own settings must do.
  }
}
