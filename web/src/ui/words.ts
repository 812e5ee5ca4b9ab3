// Names and numbers in the viewer's language.

const numbers = new Intl.NumberFormat(navigator.languages as string[])
const compact = new Intl.NumberFormat(navigator.languages as string[], { notation: 'compact', maximumFractionDigits: 1 })
const percents = new Intl.NumberFormat(navigator.languages as string[], { style: 'percent', maximumFractionDigits: 1 })
const regions = new Intl.DisplayNames(navigator.languages as string[], { type: 'region', fallback: 'code' })

export const number = (value: number): string => numbers.format(value)
export const short = (value: number): string => compact.format(value)
/** A share in percent; what is there but rounds to nothing is less than the least. */
export const percent = (share: number): string => (share > 0 && share < 0.0005 ? `< ${percents.format(0.001)}` : percents.format(share))
export const time = (date: Date): string => date.toLocaleTimeString(navigator.languages as string[])

/** The name of a country; pings of unknown origin have ZZ. */
export function countryName(code: string): string {
  if (code === 'ZZ') return 'Unknown'
  try {
    return regions.of(code) ?? code
  } catch {
    return code
  }
}
