"use strict";
// The images of a training, one after the other: a slider and a button that plays them. Without
// scripts they stand side by side.
for (const player of document.querySelectorAll(".player")) {
  const frames = [...player.querySelectorAll("figure")];
  if (frames.length < 2) continue;
  const [controls, slider, button] = [".controls", "input", "button"].map(name => player.querySelector(name));
  let timer = null;
  const show = index => {
    frames.forEach((frame, i) => frame.classList.toggle("shown", i === index));
    slider.value = index;
    slider.setAttribute("aria-valuetext", frames[index].dataset.label);
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  };
  const play = () => {
    if (Number(slider.value) === frames.length - 1) show(0);
    button.textContent = "Pause";
    timer = setInterval(() => {
      const next = Number(slider.value) + 1;
      if (next < frames.length) show(next);
      if (next >= frames.length - 1) stop();
    }, 700);
  };
  slider.max = frames.length - 1;
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  button.addEventListener("click", () => timer === null ? play() : stop());
  player.classList.add("playing");
  controls.hidden = false;
  show(Math.max(0, frames.findIndex(frame => frame.dataset.selected)));
}
