// Whether the numbers are live, and what to do where there are none.

import { byId, make, setText, showIn } from './dom.ts'
import { say, time } from './words.ts'

export type State = 'connecting' | 'live' | 'stale'

// The server checks its database every few seconds: less is no news.
const STALE_S = 5

/** The state by what is known: a connection, the server's own lag in seconds, whether numbers ever came. */
export function stateOf(connected: boolean, staleS: number, hasNumbers: boolean): State {
  if (!hasNumbers) return 'connecting'
  return connected && staleS < STALE_S ? 'live' : 'stale'
}

export interface Status {
  readonly state: State
  readonly connected: boolean
  /** When the numbers last were live. */
  readonly since: Date
  /** Where to sign in, if that is what is missing. */
  readonly signIn: string | null
}

/** Show how things are; what is as it should be needs no words. */
export function showStatus({ state, connected, since, signIn }: Status): void {
  document.documentElement.dataset['state'] = state
  const status = byId('status')
  status.hidden = state === 'live'
  if (status.hidden) return
  const why = say(connected ? 'noDatabase' : 'again')
  const text = signIn !== null ? `${say('signedOut')} ` : state === 'connecting' ? say('connecting') : say('old', { time: time(since), why })
  showIn(status, [text, signIn], () => {
    if (signIn === null) return [document.createTextNode(text)]
    const link = make('a', '', say('signIn'))
    link.href = signIn
    return [document.createTextNode(text), link]
  })
}

/** Say what keeps the map from being there at all. */
export function showFailure(text: string): void {
  document.documentElement.dataset['state'] = 'failed'
  document.documentElement.dataset['theme'] ??= 'dark'
  const status = byId('status')
  status.hidden = false
  setText(status, text)
}

/** Say how to begin where nothing is to be shown: without products, of one that is not registered, or without pings. */
export function showEmpty(products: readonly string[], isEmpty: boolean, chosen: string | null): void {
  const empty = byId('empty')
  empty.hidden = !isEmpty
  if (!isEmpty) return
  showIn(empty, [products, chosen], () => {
    const first = products[0]
    if (first !== undefined && chosen !== null && !products.includes(chosen)) {
      return [make('h2', '', say('noSuch', { product: chosen })), make('p', '', say('thereAre', { products: products.join(', ') }))]
    }
    const command = first === undefined ? 'callhome product add es --name "Example Server"' : `callhome ping --product ${chosen ?? first} --version 1.0`
    return [make('h2', '', say(first === undefined ? 'noProduct' : 'noPings')), make('p', '', say('terminal')), make('code', '', command)]
  })
}
