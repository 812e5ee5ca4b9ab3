// Whether the numbers are live, and what to do where there are none.

import { byId, make, setText } from './dom.ts'
import { time } from './words.ts'

export type State = 'connecting' | 'live' | 'stale'

// The server checks its database every few seconds: less is no news.
const STALE_S = 5

/** The state by what is known: a connection, the server's own lag in seconds, whether numbers ever came. */
export function stateOf(connected: boolean, staleS: number, hasNumbers: boolean): State {
  if (!hasNumbers) return 'connecting'
  return connected && staleS < STALE_S ? 'live' : 'stale'
}

/** Show a state; `since` is when the numbers last were live. */
export function showState(state: State, connected: boolean, since: Date): void {
  document.documentElement.dataset['state'] = state
  const status = byId('status')
  status.hidden = state === 'live'
  if (state === 'connecting') setText(status, 'Connecting …')
  if (state === 'stale') {
    setText(status, `Numbers of ${time(since)}: ${connected ? 'the server can’t reach its database' : 'connecting again …'}`)
  }
}

/** Say what keeps the map from being there at all. */
export function showFailure(text: string): void {
  document.documentElement.dataset['state'] = 'failed'
  const status = byId('status')
  status.hidden = false
  setText(status, text)
}

/** Say how to begin where nothing is to be shown: without products, of one that is not registered, or without pings. */
export function showEmpty(products: readonly string[], installs: number, chosen: string | null): void {
  const empty = byId('empty')
  empty.hidden = installs > 0
  if (installs > 0) return
  const first = products[0]
  if (first !== undefined && chosen !== null && !products.includes(chosen)) {
    empty.replaceChildren(make('h2', '', `No product “${chosen}”`), make('p', '', `There are: ${products.join(', ')}`))
    return
  }
  const [title, command] = first === undefined
    ? ['No product yet', 'callhome product add es --name "Example Server"']
    : ['No pings yet', `callhome ping --product ${chosen ?? first} --version 1.0`]
  empty.replaceChildren(make('h2', '', title), make('p', '', 'In a terminal, with the server’s settings:'), make('code', '', command))
}
