import "./style.css";
import { render } from "preact";
import { begin } from "./store";
import "./theme";
import { App } from "./ui/app";

render(<App />, document.getElementById("app")!);
void begin();
