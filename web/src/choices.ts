// What the address says of the page, so that a screen is set up once:
// ?product=es&measure=users&window=today&per=million&tour=off&stop=FR&theme=light&lang=fr&kiosk

import { type Measure, SPANS, USUAL, WHATS } from './measure.ts'

export type Theme = 'dark' | 'light'

export interface Choices {
  /** A product's key; null: the tour goes through all of them. */
  readonly product: string | null
  readonly playing: boolean
  /** A country to stand at. */
  readonly stop: string | null
  readonly measure: Measure
  /** null: that of the system. */
  readonly theme: Theme | null
  /** Whether this is a screen that nobody operates. */
  readonly kiosk: boolean
}

/** Read them from the query of an address; a tour that is to stand at a country stands. */
export function choicesOf(query: URLSearchParams): Choices {
  const stop = query.get('stop')?.toUpperCase() || null
  const [theme, kiosk] = [query.get('theme'), query.get('kiosk')]
  return {
    product: query.get('product') || null,
    playing: stop === null && query.get('tour') !== 'off',
    stop,
    measure: {
      what: WHATS.find((what) => what === query.get('measure')) ?? USUAL.what,
      span: SPANS.find((span) => span === query.get('window')) ?? USUAL.span,
      perMillion: query.get('per') === 'million',
    },
    theme: theme === 'dark' || theme === 'light' ? theme : null,
    kiosk: kiosk !== null && kiosk !== 'off',
  }
}

/** The query that says so, `before` without what is chosen here; what is usual is not said. */
export function queryOf(choices: Choices, before: URLSearchParams): string {
  const { product, playing, stop, measure, theme } = choices
  const said: Readonly<Record<string, string | null>> = {
    product,
    stop,
    tour: playing || stop !== null ? null : 'off',
    measure: measure.what === USUAL.what ? null : measure.what,
    window: measure.span === USUAL.span ? null : measure.span,
    per: measure.perMillion ? 'million' : null,
    theme,
  }
  const query = new URLSearchParams(before)
  for (const [name, value] of Object.entries(said)) {
    if (value === null) query.delete(name)
    else query.set(name, value)
  }
  // Flags are read more easily without a "=".
  return query.toString().replace(/\bkiosk=(?=&|$)/, 'kiosk')
}
