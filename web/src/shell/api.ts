// Asks the API of the console. Where it wants to know who asks, the page leads to signing in and back.

/** What a parameter may be; null and '' are not sent. */
export type Params = Readonly<Record<string, string | number | boolean | null | undefined>>

// A page whose answer got lost must say so.
const PATIENCE_MS = 30_000
const BASE = '/api/v1/'

/** Why there is no answer: `reason` for programs, `message` for people, the parameter at fault. `status` 0: nothing was heard. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly reason: string
  readonly field: string | null

  constructor(status: number, reason: string, message: string, field: string | null = null) {
    super(message)
    this.status = status
    this.reason = reason
    this.field = field
  }
}

/** The address of a path of the API, such as `statistics/es`, with its parameters. */
export function apiUrl(path: string, params: Params = {}): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== '') query.set(name, String(value))
  }
  const asked = query.toString()
  return `${BASE}${path}${asked === '' ? '' : `?${asked}`}`
}

/** The same as a table for spreadsheets. */
export const csvUrl = (path: string, params: Params = {}): string => apiUrl(`${path}.csv`, params)

/** The answer at a path. Rejects with `ApiError`, or with an AbortError once `signal` says so. */
export function get<T>(path: string, params: Params = {}, signal?: AbortSignal): Promise<T> {
  return ask<T>(apiUrl(path, params), { method: 'GET' }, signal)
}

/** Send something that changes something, as JSON. Rejects like `get`. */
export function post<T>(path: string, body: unknown = {}, signal?: AbortSignal): Promise<T> {
  return send<T>('POST', path, body, signal)
}

/** Take something away. Rejects like `get`. */
export function remove<T>(path: string, body: unknown = {}, signal?: AbortSignal): Promise<T> {
  return send<T>('DELETE', path, body, signal)
}

function send<T>(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const init = { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
  return ask<T>(apiUrl(path), init, signal)
}

async function ask<T>(url: string, init: RequestInit, signal?: AbortSignal): Promise<T> {
  const patience = AbortSignal.timeout(PATIENCE_MS)
  const until = signal === undefined ? patience : AbortSignal.any([signal, patience])
  let answer: Response
  try {
    const headers = { Accept: 'application/json', ...init.headers }
    answer = await fetch(url, { ...init, headers, signal: until, credentials: 'same-origin' })
  } catch (error) {
    if (signal?.aborted === true) throw error
    throw new ApiError(0, 'unreachable', 'The server does not answer.')
  }
  if (answer.ok) return (answer.status === 204 ? undefined : await answer.json()) as T
  if (answer.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`)
  throw await errorOf(answer)
}

/** What an answer says went wrong. */
export async function errorOf(answer: Response): Promise<ApiError> {
  try {
    const said = (await answer.json()) as { reason?: string; message?: string; field?: string }
    const message = said.message ?? `The server answered ${answer.status}.`
    return new ApiError(answer.status, said.reason ?? 'unknown', message, said.field ?? null)
  } catch {
    return new ApiError(answer.status, 'unknown', `The server answered ${answer.status}.`)
  }
}
