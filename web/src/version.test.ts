// What a page is made of, and when it has been replaced.

import { afterEach, expect, test, vi } from 'vitest'
import { assetsOf, Version } from './version.ts'

const page = (hash: string): string =>
  `<link rel="icon" href="./assets/icon-1.svg"><script type="module" crossorigin src="./assets/map-${hash}.js"></script><link rel="stylesheet" href="./assets/map-${hash}.css">`
const OWN = assetsOf(page('old'))
const HOUR = 3_600_000

afterEach(() => vi.unstubAllGlobals())

/** A server that has this page; `missing` assets are answered with 404. */
function serve(html: string, given: { ok?: boolean; redirected?: boolean; missing?: boolean } = {}): string[] {
  const asked: string[] = []
  vi.stubGlobal('location', { pathname: '/map' })
  vi.stubGlobal('fetch', async (path: string) => {
    asked.push(path)
    return path === '/map' ? { ok: true, redirected: false, text: async () => html, ...given } : { ok: !given.missing }
  })
  return asked
}

async function looked(...times: readonly [ms: number, now?: boolean][]): Promise<boolean> {
  const version = new Version(OWN, 0)
  for (const [ms, now] of times) await version.look(ms, now)
  return version.isNew
}

test('scripts and styles are found', () => {
  expect(OWN).toEqual(['./assets/map-old.css', './assets/map-old.js'])
})

test('the same build is not new, another is', async () => {
  serve(page('old'))
  expect(await looked([HOUR])).toBe(false)
  serve(page('new'))
  expect(await looked([HOUR])).toBe(true)
})

test.each([
  ['a page of somebody else', () => serve('<h1>Bad gateway</h1>')],
  ['an error', () => serve(page('new'), { ok: false })],
  ['the page to sign in', () => serve(page('new'), { redirected: true })],
  ['a build of which not all is there', () => serve(page('new'), { missing: true })],
])('%s is no new build', async (_what, begin) => {
  begin()
  expect(await looked([HOUR])).toBe(false)
})

test('it looks now and then, or when the server has come back, and not right after it was loaded', async () => {
  const asked = serve(page('old'))
  await looked([1_000, true], [61_000], [62_000, true], [63_000], [HOUR], [HOUR + 1])
  expect(asked).toEqual(['/map', '/map'])
})
