// A part of the product's page: a heading that leads to its definition, and what the API has for it.

import { ApiError, type Params } from '../shell/api.ts'
import { defined } from '../shell/definitions.ts'
import { type Content, make, newId } from '../shell/dom.ts'
import { empty, fill, loading } from '../shell/states.ts'
import type { Measure, Window } from './model.ts'
import { type Filter, isCountedBy, type Span } from './scope.ts'

/** What the page shows now, all of it from its address. */
export interface View {
  readonly key: string
  readonly span: Span
  /** The days to ask for, and what is narrowed down to. */
  readonly params: Params
  readonly filters: Partial<Record<Filter, string>>
  readonly measure: Measure
  readonly window: Window
  readonly adoption: 'share' | 'count'
  readonly inUse: 'version' | 'build'
  /** Whether there is a time before to compare with. */
  readonly isCompared: boolean
  /** What charts are of, in words. */
  readonly words: string
}

export interface Given<T> {
  readonly title: string
  /** The anchor of the definition. */
  readonly about: string
  /** Heights in rem of what will come. */
  readonly heights: readonly number[]
  readonly load: (view: View, signal: AbortSignal) => Promise<T>
  readonly show: (found: T, view: View) => Content[]
  /** Whether it is counted with the filters of the view; without it, always where at most two narrow down. */
  readonly isCounted?: (view: View) => boolean
  /** What of the view it depends on, beside the product, the days and the filters. */
  readonly also?: (view: View) => unknown
  readonly controls?: (view: View) => HTMLElement
}

export interface Section { readonly element: HTMLElement; readonly update: (view: View) => void }

/** A section, empty until it is first updated. */
export function section<T>(given: Given<T>): Section {
  const id = newId('title')
  const body = make('div', { class: 'body' })
  const controls = make('div', { class: 'row' })
  const heading = make('h2', { id }, defined(given.title, given.about))
  const element = make('section', { class: 'card', 'aria-labelledby': id }, make('header', {}, heading, controls), body)
  let shown = ''
  const update = (view: View): void => {
    const wanted = JSON.stringify([view.key, view.params, given.also?.(view)])
    if (wanted === shown) return
    shown = wanted
    if (given.controls !== undefined) controls.replaceChildren(given.controls(view))
    void fill(body, () => loading(...given.heights), (signal) => loaded(given, view, signal), (found) => found(view))
  }
  return { element, update }
}

/** What was loaded, as how it is shown; what isn't counted apart by so much is no error, but something to know. */
async function loaded<T>(given: Given<T>, view: View, signal: AbortSignal): Promise<(view: View) => Content[]> {
  const isCounted = given.isCounted ?? ((each: View) => isCountedBy(each.filters))
  if (!isCounted(view)) return () => [notSo('This is not counted apart by so much at once: take a filter away.')]
  try {
    const found = await given.load(view, signal)
    return () => given.show(found, view)
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'not_counted') throw error
    return () => [notSo(`${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`)]
  }
}

const notSo = (why: string): HTMLElement => empty('Not with these filters', make('p', {}, why))

/** The path of the product in the API. */
export const pathOf = (view: View, rest = ''): string => `statistics/${encodeURIComponent(view.key)}${rest === '' ? '' : `/${rest}`}`

/** What is shown of a product where no install was active. */
export const nothing = (): HTMLElement => empty('Nothing was counted in these days', make('p', {}, 'Choose other days, or take a filter away.'))
