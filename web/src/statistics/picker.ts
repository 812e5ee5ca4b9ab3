// Chooses the days that are looked at.

import { setParams } from '../shell/address.ts'
import { choices } from '../shell/choices.ts'
import { button, make } from '../shell/dom.ts'
import { paramsOf, type Preset, PRESETS, type Span } from './scope.ts'

/** Buttons for the usual spans, and two fields for others; `shown` are the days that are shown now. */
export function picker(span: Span, shown: { readonly from: string; readonly to: string } | null): HTMLElement {
  const days = 'from' in span ? span : shown
  const [from, to] = [dayField('From', days?.from ?? ''), dayField('To', days?.to ?? '')]
  const apply = button('Show these days', 'button small', () => {
    const [first, last] = [from.input.value, to.input.value]
    if (first !== '' && last !== '') setParams(paramsOf({ from: first, to: last }))
  })
  const own = make('div', { class: 'row', id: 'own-days', hidden: !('from' in span) }, from.label, to.label, apply)
  const presets = choices<Preset | 'own'>(
    'Days', [...PRESETS, ['own', 'Other …']], 'from' in span ? 'own' : span.preset, (chosen) => {
      own.hidden = chosen !== 'own'
      if (chosen === 'own') from.input.focus()
      else setParams(paramsOf({ preset: chosen }))
    },
  )
  return make('div', { class: 'picker unprinted' }, presets, own)
}

function dayField(name: string, value: string): { readonly label: HTMLElement; readonly input: HTMLInputElement } {
  const input = make('input', { type: 'date', value, required: true })
  return { label: make('label', { class: 'field' }, name, input), input }
}
