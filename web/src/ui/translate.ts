// The page's own words, in its language.

import type { Text } from './texts.ts'
import { language, say } from './words.ts'

/** Set every text, label and title that the page has by name. */
export function translate(): void {
  document.documentElement.lang = language
  document.title = say('title')
  for (const element of document.querySelectorAll<HTMLElement>('[data-text], [data-label], [data-title]')) {
    const { text, label, title } = element.dataset
    if (text !== undefined) element.textContent = say(text as Text)
    if (label !== undefined) element.setAttribute('aria-label', say(label as Text))
    if (title !== undefined) element.title = say(title as Text)
  }
}
