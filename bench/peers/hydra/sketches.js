// The five sketches in hydra's own language, as its tutorials would write them. bench/pictures.py holds the same five.
const SKETCHES = {
  "plain colour": () => solid(0.2, 0.4, 0.8).out(o0),

  "one oscillator": () => osc(20, 0.1, 0.8).out(o0),

  "osc-rotate-modulate-kaleid-color": () =>
    osc(20, 0.1, 0.8).rotate(0.8).modulate(noise(3, 0.1), 0.1).kaleid(5).color(0.9, 0.7, 0.8).out(o0),

  "zoom-blend feedback": () => src(o0).scale(1.01).blend(osc(20, 0.1, 0.8), 0.1).out(o0),

  "four cross-modulated feedbacks": () => {
    src(o0).modulate(o1, 0.01).blend(osc(10, 0.1, 0.8), 0.1).out(o0);
    src(o1).modulate(o2, 0.01).blend(osc(15, 0.1, 0.8), 0.1).out(o1);
    src(o2).modulate(o3, 0.01).blend(osc(20, 0.1, 0.8), 0.1).out(o2);
    src(o3).modulate(o0, 0.01).blend(osc(25, 0.1, 0.8), 0.1).out(o3);
  },
};
