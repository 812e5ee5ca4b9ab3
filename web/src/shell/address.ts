// What a page shows is in its address: a bookmark brings it back, and so does going back.

/** The parameters of the page's address. */
export const query = (): URLSearchParams => new URLSearchParams(location.search)

/** A query with some parameters set; null or '' takes one away. The order of the others stays. */
export function withParams(before: URLSearchParams, changes: Readonly<Record<string, string | null>>): string {
  const changed = new URLSearchParams(before)
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === '') changed.delete(name)
    else changed.set(name, value)
  }
  const asked = changed.toString()
  return asked === '' ? '' : `?${asked}`
}

/** Change the address of the page, as a step that can be gone back. */
export function setParams(changes: Readonly<Record<string, string | null>>): void {
  const next = withParams(query(), changes)
  if (next === location.search) return
  history.pushState(null, '', `${location.pathname}${next}`)
  for (const listener of listeners) listener()
}

/** Have something called whenever the address has changed. */
export function onAddress(listener: () => void): void {
  listeners.push(listener)
}

const listeners: (() => void)[] = []
globalThis.addEventListener?.('popstate', () => {
  for (const listener of listeners) listener()
})
