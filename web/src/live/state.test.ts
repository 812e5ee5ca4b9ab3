// The fold of the server's messages, as docs/live.md describes it.

import { describe, expect, test } from 'vitest'
import type { Change, Counts, Message, Snapshot } from './messages.ts'
import { LiveState } from './state.ts'

const ONE: Counts = [1, 5, 2, 1, 5, 2]
const BASE = { epoch: 'a', today: '2026-11-22', products: [], countries: [], builds: [] }
const snapshot = (seq: number, rest: Partial<Snapshot> = {}): Snapshot => ({ ...BASE, type: 'snapshot', seq, ...rest })
const change = (seq: number, rest: Partial<Change> = {}): Change => ({ ...BASE, type: 'change', seq, ...rest })
const alive = (seq: number, stale_s = 0, epoch = 'a'): Message => ({ type: 'alive', epoch, seq, stale_s })

function after(...messages: readonly Message[]): LiveState {
  const state = new LiveState()
  for (const message of messages) state.receive(message)
  return state
}

describe('what a message does to the numbers', () => {
  test('a change replaces rows by their new values', () => {
    const state = after(snapshot(1, { countries: [['es', 'DE', ...ONE]] }), change(2, { countries: [['es', 'DE', 2, 6, 3, 2, 6, 3]] }))
    expect(state.countries.get('es')?.get('DE')).toEqual([2, 6, 3, 2, 6, 3])
  })

  test('six zeros, no installs and a null name remove', () => {
    const state = after(
      snapshot(1, { products: [{ key: 'es', name: 'ES' }], countries: [['es', 'DE', ...ONE]], builds: [['es', '1', '', 4]] }),
      change(2, { products: [{ key: 'es', name: null }], countries: [['es', 'DE', 0, 0, 0, 0, 0, 0]], builds: [['es', '1', '', 0]] }),
    )
    expect([state.products.size, state.countries.get('es')?.size, state.topBuilds('es', 3)]).toEqual([0, 0, []])
  })

  test('a snapshot forgets all that was before it', () => {
    const state = after(snapshot(9, { countries: [['es', 'DE', ...ONE]] }), snapshot(1, { epoch: 'b' }))
    expect(state.countries.size).toBe(0)
  })

  test('keys and builds that look like properties of objects are kept as texts', () => {
    const state = after(snapshot(1, { countries: [['__proto__', 'DE', ...ONE]], builds: [['__proto__', 'constructor', '<b>', 1]] }))
    expect(state.countries.get('__proto__')?.get('DE')).toEqual(ONE)
    expect(state.topBuilds('__proto__', 1)).toEqual([{ version: 'constructor', build: '<b>', installs: 1 }])
  })

  test('builds come in the order of their installs, and version and build are told apart', () => {
    const state = after(snapshot(1, { builds: [['es', '1', '2', 3], ['es', '12', '', 9], ['es', '1', '', 5]] }))
    expect(state.topBuilds('es', 3).map(({ version, build }) => [version, build])).toEqual([['12', ''], ['1', ''], ['1', '2']])
  })
})

describe('when to ask for a snapshot', () => {
  const first = snapshot(5)
  test.each<[string, Message, boolean]>([
    ['the next number', change(6), false],
    ['a number already had', change(5), false],
    ['a gap', change(7), true],
    ['another epoch with the next number', change(6, { epoch: 'b' }), true],
    ['alive at the same number', alive(5), false],
    ['alive at a higher number', alive(6), true],
    ['alive of another epoch', alive(5, 0, 'b'), true],
    ['an unknown type', { type: 'news' } as unknown as Message, false],
  ])('%s', (_what, message, ask) => {
    expect(after(first).receive(message).ask).toBe(ask)
  })

  test('it asks once, changes nothing until the answer comes, and then goes on', () => {
    const state = after(first, change(7))
    const lost = state.receive(change(8, { countries: [['es', 'DE', ...ONE]] }))
    expect([lost.ask, lost.changed, state.countries.size]).toEqual([false, false, 0])
    state.receive(snapshot(8))
    expect(state.receive(change(9)).changed).toBe(true)
    expect(state.receive(change(11)).ask).toBe(true)
  })

  test('it may ask again on another connection', () => {
    const state = after(first, change(7))
    state.disconnected()
    expect(state.receive(change(9)).ask).toBe(true)
  })
})

test('alive tells how stale the numbers are, and any change ends it', () => {
  const state = after(snapshot(1), alive(1, 12))
  expect(state.staleS).toBe(12)
  state.receive(change(2))
  expect(state.staleS).toBe(0)
})

describe('arrivals', () => {
  const first = snapshot(1, { countries: [['es', 'DE', ...ONE]] })
  test('are launches that grew, new countries included', () => {
    const rows: Change['countries'] = [['es', 'DE', 1, 5, 5, 1, 5, 5], ['es', 'FR', ...ONE]]
    expect(after(first).receive(change(2, { countries: rows })).arrivals).toEqual([
      { product: 'es', country: 'DE', launches: 3 },
      { product: 'es', country: 'FR', launches: 2 },
    ])
  })

  test('are none in a snapshot, where counts shrink, and where a day begins', () => {
    expect(new LiveState().receive(first).arrivals).toEqual([])
    expect(after(first).receive(change(2, { countries: [['es', 'DE', 1, 5, 1, 1, 5, 1]] })).arrivals).toEqual([])
    const midnight = change(2, { today: '2026-11-23', countries: [['es', 'DE', 9, 9, 9, 9, 9, 9]] })
    expect(after(first).receive(midnight).arrivals).toEqual([])
  })
})

describe('what a guest is told', () => {
  const few: Counts = [null, null, null, null, null, null]
  const first = snapshot(1, { floor: 5, countries: [['es', 'FJ', ...few], ['es', 'DE', ...ONE]], top: [['es', [['2', 'b'], ['1', '']]]] })

  test('is where there are few, and which builds lead, without numbers', () => {
    const state = after(first)
    expect([state.floor, state.countries.get('es')?.get('FJ')]).toEqual([5, few])
    expect(state.topBuilds('es', 1)).toEqual([{ version: '2', build: 'b', installs: null }])
    state.receive(change(2, { floor: 5, top: [['es', []]], countries: [['es', 'FJ', 0, 0, 0, 0, 0, 0]] }))
    expect([state.topBuilds('es', 1), state.countries.get('es')?.has('FJ')]).toEqual([[], false])
  })

  test('makes no arrivals of a day where numbers begin to be told', () => {
    expect(after(first).receive(change(2, { floor: 5, countries: [['es', 'FJ', 5, 5, 80, 5, 5, 80]] })).arrivals).toEqual([])
  })

  test('is forgotten by who has signed in', () => {
    expect(after(first, snapshot(1, { epoch: 'b' })).floor).toBe(null)
  })
})
