// Reads from the server beside the page.

// A wall must not wait for ever for an answer that got lost.
const PATIENCE_MS = 15_000

/** The JSON at a path beside the page; rejects where there is none. */
export async function getJson(path: string): Promise<unknown> {
  const answer = await fetch(path, { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(PATIENCE_MS) })
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`)
  return answer.json()
}

/** Where to sign in again, if the server wants that before it shows this page; null if it doesn't, or is away. */
export async function signInUrl(): Promise<string | null> {
  try {
    const page = `${location.pathname}${location.search}`
    const answer = await fetch(page, { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) })
    return answer.redirected ? answer.url : null
  } catch {
    return null
  }
}
