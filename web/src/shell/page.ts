// The frame of a page of the console: a header with where one can go, the theme, and who is signed in.

import './shell.css'
import './table.css'
import { get } from './api.ts'
import { byId, draw, make } from './dom.ts'
import { chooseTheme, chosenTheme, showTheme, type Theme, THEMES } from './theme.ts'

export type Role = 'viewer' | 'analyst' | 'admin'

/** Who asks, as the API says. */
export interface Me {
  readonly name: string
  readonly role: Role
  readonly kind: string
}

interface Place {
  readonly name: string
  readonly path: string
  readonly least: Role
}

const ORDER: readonly Role[] = ['viewer', 'analyst', 'admin']
/** Where one can go; a new page has its line here. */
const PLACES: readonly Place[] = [
  { name: 'Overview', path: '/', least: 'viewer' },
  { name: 'Map', path: '/map', least: 'viewer' },
]
const NAMES: Readonly<Record<Theme, string>> = { system: 'Theme: system', light: 'Light', dark: 'Dark' }

/** Whether a role may do what takes another. */
export const may = (role: Role, least: Role): boolean => ORDER.indexOf(role) >= ORDER.indexOf(least)

/**
 * Put the frame around `#main`, `current` being the path of the place that the page belongs to. Resolves once it is known who
 * asks; null where the server doesn't say, and then only what is for all is in the navigation.
 */
export async function startPage(current: string): Promise<Me | null> {
  showTheme(chosenTheme())
  const nav = make('nav', { 'aria-label': 'Console' }, ...links('viewer', current))
  const account = make('a', { href: '/account', class: 'quiet' }, 'Account')
  const aside = make('div', { class: 'aside' }, themeSwitch(), account)
  const skip = make('a', { class: 'skip', href: '#main' }, 'Skip to the content')
  byId('main').before(skip, make('header', { class: 'top' }, make('div', {}, brand(), nav, aside)))
  byId('main').after(bottom())
  const me = await get<Me>('me').catch(() => null)
  if (me !== null) {
    account.replaceChildren(me.name, make('span', { class: 'unseen' }, ': account, sign out'))
    nav.replaceChildren(...links(me.role, current))
  }
  return me
}

function links(role: Role, current: string): HTMLElement[] {
  return PLACES.filter((place) => may(role, place.least)).map((place) =>
    make('a', { href: place.path, 'aria-current': place.path === current ? 'page' : null }, place.name),
  )
}

function brand(): HTMLElement {
  const mark = draw(
    'svg', { viewBox: '0 0 32 32', width: 22, height: 22, 'aria-hidden': 'true' },
    draw('circle', { cx: 16, cy: 16, r: 5, fill: 'currentColor' }),
    draw('circle', { cx: 16, cy: 16, r: 12, fill: 'none', stroke: 'currentColor', 'stroke-width': 3 }),
  )
  return make('a', { class: 'brand', href: '/' }, mark, 'callhome')
}

function themeSwitch(): HTMLElement {
  const choice = make('select', { 'aria-label': 'Theme', class: 'quiet' })
  for (const theme of THEMES) choice.append(make('option', { value: theme }, NAMES[theme]))
  choice.value = chosenTheme()
  choice.addEventListener('change', () => chooseTheme(choice.value as Theme))
  return choice
}

function bottom(): HTMLElement {
  return make(
    'footer', { class: 'bottom' },
    make('a', { href: '/definitions' }, 'Definitions of all numbers'),
    make('a', { href: '/api/v1/openapi.json' }, 'API'),
    make('a', { href: '/NOTICE.txt' }, 'Notices'),
  )
}
