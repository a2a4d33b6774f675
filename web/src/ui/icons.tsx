// Drawn with one pen: 24 units, a round stroke.
import type { SVGAttributes } from "preact";

const icon = (...paths: string[]) =>
  function Icon(props: SVGAttributes<SVGSVGElement>) {
    return (
      <svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" {...props}>
        {paths.map((d) => <path d={d} />)}
      </svg>
    );
  };

export const Mark = icon("M3 19a9 9 0 0 1 18 0", "M6.5 19a5.5 5.5 0 0 1 11 0", "M10 19a2 2 0 0 1 4 0", "M12 4.5v2M5 7.5l1.3 1.4M19 7.5l-1.3 1.4");
export const Plus = icon("M12 5v14M5 12h14");
export const Search = icon("M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Z", "m20 20-4-4");
export const Send = icon("M12 19V6", "m6 12 6-6 6 6");
export const Stop = icon("M8 8h8v8H8Z");
export const Clip = icon("m19.5 11.5-7.6 7.6a4.6 4.6 0 0 1-6.5-6.5L13.5 4.500a3 3 0 0 1 4.300 4.300l-7.900 7.900a1.500 1.500 0 0 1-2.200-2.200l7-7");
export const Copy = icon("M9 9h10v11H9Z", "M5 15V4h10");
export const Check = icon("m5 12.500 4.500 4.500L19 7.500");
export const Again = icon("M4 12a8 8 0 1 0 2.600-5.900L4 8.500", "M4 4v4.500h4.500");
export const Onward = icon("M4 12h13m-5-5 5 5-5 5", "M21 5v14");
export const Pencil = icon("m4 20 1-4L16.500 4.500l3 3L8 19Z");
export const Left = icon("m14 6-6 6 6 6");
export const Right = icon("m10 6 6 6-6 6");
export const Trash = icon("M5 7h14M10 7V4.500h4V7M7 7l1 13h8l1-13");
export const Dots = icon("M6 12h.01M12 12h.01M18 12h.01");
export const Down = icon("M12 4v11m-5-5 5 5 5-5M5 20h14");
export const Up = icon("M12 15V4m-5 5 5-5 5 5M5 20h14");
export const Sliders = icon("M4 7h9M17 7h3M4 17h3M11 17h9", "M15 9a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM9 19a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z");
export const Pulse = icon("M3 12h4l3-7 4 14 3-7h4");
export const Grid = icon("M4 4h7v7H4ZM13 4h7v7h-7ZM4 13h7v7H4ZM13 13h7v7h-7Z");
export const Close = icon("M6 6l12 12M18 6 6 18");
export const Menu = icon("M4 7h16M4 12h16M4 17h10");
export const Sun = icon("M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8Z", "M12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600 7 7M17 17l1.400 1.400M5.600 18.400 7 17M17 7l1.400-1.400");
export const Moon = icon("M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500Z");
export const Half = icon("M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16Z", "M12 4v16M12 8h6.500M12 12h8M12 16h6.500");
export const Tool = icon("M14.500 6.500a4 4 0 0 1 5-1.500L17 7.500l.500 2 2 .500L22 7.500a4.500 4.500 0 0 1-6 5.500l-7 7-3-3 7-7a4.500 4.500 0 0 1 1.500-3.500Z");
export const File = icon("M6 3h8l4 4v14H6Z", "M14 3v4h4");
