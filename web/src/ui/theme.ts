// Dark or light: as the address says, else as the system is.

import type { Theme } from '../choices.ts'

const light = matchMedia('(prefers-color-scheme: light)')

/** The theme to show where `chosen` was chosen, or nothing. */
export const themeOf = (chosen: Theme | null): Theme => chosen ?? (light.matches ? 'light' : 'dark')

/** Call back whenever the system's has changed. */
export function onSystemTheme(changed: () => void): void {
  light.addEventListener('change', changed)
}

/** Show a theme, and the product's colour in it. */
export function showTheme(theme: Theme, accent: string): void {
  const root = document.documentElement
  // Setting what is set already would have all styles looked at again, four times a second.
  if (root.dataset['theme'] !== theme) root.dataset['theme'] = theme
  if (root.style.getPropertyValue('--accent') !== accent) root.style.setProperty('--accent', accent)
}
