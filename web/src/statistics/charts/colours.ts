// The colours of what a chart tells apart, by name; the tokens have them for light and dark.

export const SERIES = [1, 2, 3, 4, 5, 6, 7].map((place) => `var(--series-${place})`)
export const REST = 'var(--series-rest)'

/** The colour of the value at a place; those beyond the last share that of the rest. */
export const colourAt = (place: number): string => SERIES[place] ?? REST

/** A text in which names of tokens have become colours as they are seen now, so that it can stand alone. */
export function resolved(text: string, seen: (token: string) => string): string {
  const known = new Map<string, string>()
  return text.replaceAll(/var\((--[\w-]+)\)/g, (_, token: string) => {
    const colour = known.get(token) ?? seen(token)
    known.set(token, colour)
    return colour
  })
}
