// Numbers, days and names in the viewer's language. Days are those of UTC, whatever the viewer's clock says.

/** What is shown where a number is not known. */
export const UNKNOWN = '–'

const languages = [...(globalThis.navigator?.languages ?? ['en'])]
const numbers = new Intl.NumberFormat(languages)
const compact = new Intl.NumberFormat(languages, { notation: 'compact', maximumFractionDigits: 1 })
const percents = new Intl.NumberFormat(languages, { style: 'percent', maximumFractionDigits: 1 })
const changes = new Intl.NumberFormat(languages, { style: 'percent', maximumFractionDigits: 1, signDisplay: 'exceptZero' })
const regions = new Intl.DisplayNames(languages, { type: 'region', fallback: 'code' })
const fullDay = new Intl.DateTimeFormat(languages, { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
const shortDay = new Intl.DateTimeFormat(languages, { day: 'numeric', month: 'short', timeZone: 'UTC' })
const months = new Intl.DateTimeFormat(languages, { month: 'short', year: 'numeric', timeZone: 'UTC' })
const moments = new Intl.DateTimeFormat(languages, { dateStyle: 'medium', timeStyle: 'short' })

const known = (value: number | null | undefined, format: (value: number) => string): string =>
  value === null || value === undefined ? UNKNOWN : format(value)

export const number = (value: number | null | undefined): string => known(value, (each) => numbers.format(each))
/** 12,345 as 12.3K, for axes. */
export const short = (value: number): string => compact.format(value)
/** A share of one in percent; what is there but rounds to nothing is less than the least. */
export const percent = (share: number | null | undefined): string =>
  known(share, (each) => (each > 0 && each < 0.0005 ? `< ${percents.format(0.001)}` : percents.format(each)))
export const day = (iso: string): string => fullDay.format(dateOf(iso))
export const dayShort = (iso: string): string => shortDay.format(dateOf(iso))
export const month = (iso: string): string => months.format(dateOf(iso.slice(0, 7)))
/** A moment, in the viewer's time zone. */
export const moment = (iso: string): string => moments.format(new Date(iso))
/** Some days, both ends included. */
export const range = (first: string, last: string): string => fullDay.formatRange(dateOf(first), dateOf(last))

/** The beginning of a day, or of a month. */
export const dateOf = (iso: string): Date => new Date(`${iso.length === 7 ? `${iso}-01` : iso}T00:00:00Z`)

/** How a number has changed: +12.3%; null where there is nothing to compare with. */
export function change(now: number | null, before: number | null): string | null {
  if (now === null || before === null || (before === 0 && now === 0)) return null
  return before === 0 ? 'new' : changes.format(now / before - 1)
}

/** The name of a country in the viewer's language; pings of unknown origin have ZZ. */
export function country(code: string): string {
  if (code === 'ZZ') return 'Unknown'
  try {
    return regions.of(code) ?? code
  } catch {
    return code
  }
}

/** A text of a ping, or what stands for one that is empty. */
export const text = (value: string): string => (value === '' ? '(none)' : value)
