// What the address says of the page, so that a screen is set up once: ?product=es&tour=off&stop=FR.

export interface Choices {
  /** A product's key; null: the tour goes through all of them. */
  readonly product: string | null
  readonly playing: boolean
  /** A country to stand at. */
  readonly stop: string | null
}

/** Read them from the query of an address; a tour that is to stand at a country stands. */
export function choicesOf(query: URLSearchParams): Choices {
  const stop = query.get('stop')?.toUpperCase() ?? null
  return { product: query.get('product') || null, playing: stop === null && query.get('tour') !== 'off', stop }
}
