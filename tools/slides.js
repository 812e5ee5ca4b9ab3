"use strict";
{
  const slides = [...document.querySelectorAll("section")];
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  const asked = () => (Number.parseInt(location.hash.slice(1), 10) || 1) - 1;
  let at = 0;

  const show = (wanted) => {
    at = Math.min(Math.max(wanted, 0), slides.length - 1);
    slides.forEach((slide, index) => { slide.hidden = index !== at; });
    byId("place").textContent = `${at + 1} / ${slides.length}`;
    history.replaceState(null, "", `#${at + 1}`);
    // A screen reader goes on from here.
    slides[at].querySelector("h1, h2").focus({ preventScroll: true });
  };

  const turn = () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
  };

  const explain = () => {
    const keys = byId("keys");
    keys.hidden = !keys.hidden;
    byId("help").setAttribute("aria-expanded", String(!keys.hidden));
  };

  const fill = () => (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen());

  const next = () => show(at + 1);
  const back = () => show(at - 1);
  const keys = {
    ArrowRight: next, ArrowDown: next, PageDown: next, " ": next,
    ArrowLeft: back, ArrowUp: back, PageUp: back, Backspace: back,
    Home: () => show(0), End: () => show(slides.length - 1),
    s: () => document.body.classList.toggle("notes"), d: turn, f: fill, "?": explain,
  };

  addEventListener("keydown", (event) => {
    const act = event.shiftKey && event.key === " " ? back : keys[event.key];
    // A button takes its own space.
    if (!act || event.ctrlKey || event.altKey || event.metaKey || (event.key === " " && event.target.tagName === "BUTTON")) return;
    event.preventDefault();
    act();
  });
  byId("on").addEventListener("click", next);
  byId("back").addEventListener("click", back);
  byId("help").addEventListener("click", explain);
  addEventListener("hashchange", () => show(asked()));
  show(asked());
}
