#!/usr/bin/env python3
"""Golden-file generator for a C++ QAT library (runs on Debian's torch 1.13, CPU, qnnpack engine).

  /usr/bin/python3 make_goldens.py OUTDIR [--seeds 3] [--check]

Every file: {"meta": {...}, "cases": [ {id, op, seed, source, attrs, inputs, expected, tol} ]}
  tensor   : {"dtype","shape","data"}  row-major; non-finite floats are the strings "nan" "inf" "-inf"
  source   : "torch-1.13" (executed), "torch-1.13/<engine>" (quantized kernel of that engine),
             "torch-2.x-rule" (1.13 code re-run with the bug fixed in 2.x), "formula" (numpy, no torch kernel here)
  tol      : {"abs","rel"} for floats; integer outputs are exact (0) unless tol.int is given
--check re-derives the results with independent numpy formulas and fails on any mismatch.
"""
import argparse, copy, json, math, os, sys, warnings
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.ao.quantization as tq
import torch.nn.intrinsic as nni
import torch.nn.intrinsic.qat as nniqat
from torch.ao.quantization import observer as O, fake_quantize as FQ
from torch.ao.quantization._learnable_fake_quantize import _LearnableFakeQuantize
import torch.ao.ns._numeric_suite as ns
from torch.ao.ns.fx import utils as nsu

warnings.simplefilter("ignore")
torch.set_num_threads(1)
f32 = np.float32
FEPS = float(np.finfo(f32).eps)
QOPS = torch.ops.quantized
QS = {"per_tensor_affine": torch.per_tensor_affine, "per_tensor_symmetric": torch.per_tensor_symmetric,
      "per_channel_affine": torch.per_channel_affine, "per_channel_symmetric": torch.per_channel_symmetric,
      "per_channel_affine_float_qparams": torch.per_channel_affine_float_qparams}
DT = {"quint8": torch.quint8, "qint8": torch.qint8, "qint32": torch.qint32, "quint4x2": torch.quint4x2}
CHECK = {"on": False, "n": 0, "bad": []}

# ------------------------------------------------------------------ encoding
def fnum(v):
    v = float(v)
    if math.isnan(v): return "nan"
    if math.isinf(v): return "inf" if v > 0 else "-inf"
    return v

class Raw(float): pass                  # carries .txt = shortest text that reads back to the same float32
def f32num(v):
    v = f32(v)
    if not np.isfinite(v): return fnum(v)
    t = str(v)
    if f32(float(t)) != v: t = repr(float(v))
    r = Raw(float(t)); r.txt = t if ("." in t or "e" in t or "n" in t) else t + ".0"
    return r

def T(x):
    if isinstance(x, torch.Tensor):
        if x.is_quantized: x = x.int_repr()
        x = x.detach().clone().contiguous().numpy()   # clone: numpy views freeze storages
    x = np.asarray(x)
    if x.dtype == np.bool_: x = x.astype(np.uint8); d = "bool"
    else: d = str(x.dtype)
    if d == "float32": data = [f32num(v) for v in x.reshape(-1)]
    elif d == "float64": data = [fnum(v) for v in x.reshape(-1)]
    else: data = [int(v) for v in x.reshape(-1)]
    return {"dtype": d, "shape": list(x.shape), "data": data}

def QT(x):                              # quantized tensor with its qparams
    d = T(x)
    if x.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        d.update(scale=float(x.q_scale()), zero_point=int(x.q_zero_point()))
    else:
        d.update(scales=[float(v) for v in x.q_per_channel_scales()], axis=int(x.q_per_channel_axis()),
                 zero_points=[(float if x.q_per_channel_zero_points().is_floating_point() else int)(v)
                              for v in x.q_per_channel_zero_points()])
    return d

def S(v): return f32num(v) if isinstance(v, (float, np.floating)) else v
def sd(m): return {k: T(v) for k, v in m.state_dict().items() if isinstance(v, torch.Tensor)}

class File:
    def __init__(self, name, note): self.name, self.note, self.cases = name, note, []
    def add(self, op, seed, source="torch-1.13", attrs=None, inputs=None, expected=None, tol=None, check=None):
        c = dict(id=f"{self.name}/{len(self.cases):03d}/{op}", op=op, seed=seed, source=source, attrs=attrs or {},
                 inputs=inputs or {}, expected=expected or {}, tol=tol or {"abs": 0, "rel": 0})
        self.cases.append(c)
        if CHECK["on"] and check is not None:
            CHECK["n"] += 1
            r = check()
            if r is not True: CHECK["bad"].append((c["id"], r))
    def write(self, out):
        p = os.path.join(out, self.name + ".json")
        meta = dict(generator="make_goldens.py/1", torch=torch.__version__, note=self.note,
                    engines=torch.backends.quantized.supported_engines)
        with open(p, "w") as fh: fh.write(dumps(dict(meta=meta, cases=self.cases)))
        return p

def dumps(o):                           # small serializer so float32 values keep their shortest text
    if isinstance(o, Raw): return o.txt
    if o is None or isinstance(o, (bool, str)): return json.dumps(o)
    if isinstance(o, dict): return "{" + ",".join(json.dumps(str(k)) + ":" + dumps(v) for k, v in o.items()) + "}"
    if isinstance(o, (list, tuple)): return "[" + ",".join(map(dumps, o)) + "]"
    if isinstance(o, (int, np.integer)): return str(int(o))
    return json.dumps(fnum(o))          # python float / np.float64

def engine(e): torch.backends.quantized.engine = e

# ------------------------------------------------------------------ independent numpy formulas (for --check)
def rne(x): return np.rint(x)
def np_quant(x, s, z, lo, hi):
    inv = f32(1) / f32(s)
    return np.clip(rne((np.asarray(x, f32) * inv).astype(f32)).astype(np.float64) + z, lo, hi)
def np_fq(x, s, z, lo, hi):
    inv = f32(1) / f32(s)
    q = rne((np.asarray(x, f32) * inv).astype(f32)).astype(np.float64) + z
    m = (q >= lo) & (q <= hi)
    return ((np.clip(q, lo, hi) - z).astype(f32) * f32(s)).astype(f32), m
def np_py_qparams(mn, mx, lo, hi, sym, zp_sym, eps=FEPS):
    mn = min(f32(mn), f32(0)); mx = max(f32(mx), f32(0))
    if sym:
        return max(f32(max(-mn, mx) / f32((hi - lo) / 2)), f32(eps)), zp_sym
    s = max(f32(f32(mx - mn) / f32(hi - lo)), f32(eps))
    return s, int(min(max(lo - int(rne(f32(mn / s))), lo), hi))
def np_choose(mn, mx, lo, hi, sym):      # the C++ rule used by the fused observer+fake-quant
    mn, mx = f32(mn), f32(mx)
    if mn < 0 and mx > 0 and sym:
        a, b = -((hi - lo) // 2 + 1), (hi - lo) // 2
        ms = max(abs(float(f32(mn / f32(a)))), abs(float(f32(mx / f32(b)))))
        mn, mx = f32(ms * a), f32(ms * b)
    mn, mx = min(mn, f32(0)), max(mx, f32(0))
    s = (float(mx) - float(mn)) / (hi - lo)
    with np.errstate(all="ignore"):
        if f32(s) == 0 or np.isinf(f32(1) / f32(s)): s = 0.1
    t = f32(6.1e-5)
    if s < t:
        o = f32(s); s = float(t)
        if mn == 0: mx = t * f32(hi - lo)
        elif mx == 0: mn = -t * f32(hi - lo)
        else:
            amp = f32(t / o); mn, mx = f32(mn * amp), f32(mx * amp)
    zl, zh = lo - float(mn) / s, hi - float(mx) / s
    z = zl if (abs(lo) - abs(float(mn) / s)) < (abs(hi) - abs(float(mx) / s)) else zh
    if mn < 0 and mx > 0 and sym: z = (lo + hi) / 2
    return f32(s), int(lo if z < lo else hi if z > hi else rne(z))
def np_requant_qnnpack(acc, bias, sx, sw, so, zo, lo, hi, ax):
    sw = np.broadcast_to(np.asarray(sw, f32), (acc.shape[ax],)); shp = [1] * acc.ndim; shp[ax] = -1
    bs = (f32(sx) * sw).astype(f32)
    if bias is not None: acc = acc + rne((np.asarray(bias, f32) * (f32(1) / bs)).astype(f32)).astype(np.int64).reshape(shp)
    rs = (bs / f32(so)).astype(f32).reshape(shp)
    return np.clip(rne((acc.astype(f32) * rs).astype(f32)) + zo, lo, hi).astype(np.int64)
def np_requant_fbgemm(acc, bias, sx, sw, so, zo, lo, hi, ax, per_channel):
    sw = np.broadcast_to(np.asarray(sw, f32), (acc.shape[ax],)); shp = [1] * acc.ndim; shp[ax] = -1
    act = (f32(sx) * sw).astype(f32)
    a = acc.astype(f32)
    if bias is not None:
        b = np.asarray(bias, f32)
        b = (b / act).astype(f32) if per_channel else (b * f32(1.0 / float(act[0]))).astype(f32)
        a = (a + b.reshape(shp)).astype(f32)
    m = (act / f32(so)).astype(f32).reshape(shp)
    return np.clip(rne((a * m).astype(f32)) + zo, lo, hi).astype(np.int64)

# ------------------------------------------------------------------ 1 qparams
def gen_qparams(seeds):
    f = File("qparams", "observer rule (calculate_qparams) and fused-kernel rule side by side; they DIFFER for symmetric")
    cfgs = [("quint8", "per_tensor_affine", 0, 255, {}), ("quint8", "per_tensor_affine", 0, 127, {}),
            ("qint8", "per_tensor_affine", -128, 127, {}), ("qint8", "per_tensor_symmetric", -128, 127, {}),
            ("qint8", "per_tensor_symmetric", -127, 127, {"eps": 2 ** -12}), ("qint8", "per_tensor_symmetric", -8, 7, {}),
            ("quint8", "per_tensor_affine", 0, 15, {}), ("quint8", "per_tensor_affine", 0, 3, {})]
    for sdn in range(seeds):
        r = np.random.default_rng(100 + sdn)
        rngs = [(0, 0), (5, 5), (-5, -5), (2, 5), (-5, -2), (-1e-9, 1e-9), (0, 1e-6), (-3e38 / 4, 1), (-1, 0), (-0.5, 0.5)] if sdn == 0 else []
        rngs += [tuple(sorted((r.standard_normal(2) * 10 ** r.uniform(-4, 2)).tolist())) for _ in range(8)]
        for dt, qs, lo, hi, kw in cfgs:
            for a, b in rngs:
                a, b = f32(a), f32(b); x = torch.tensor([a, b])
                o = O.MinMaxObserver(dtype=DT[dt], qscheme=QS[qs], quant_min=lo, quant_max=hi, **kw); o(x)
                s, z = o.calculate_qparams()
                fu = FQ.FusedMovingAvgObsFakeQuantize(observer=O.MovingAverageMinMaxObserver, quant_min=lo, quant_max=hi,
                                                      dtype=DT[dt], qscheme=QS[qs], **kw); fu(x)
                sym = "symmetric" in qs
                def chk(a=a, b=b, lo=lo, hi=hi, sym=sym, s=s, z=z, fu=fu, kw=kw):
                    es, ez = np_py_qparams(a, b, lo, hi, sym, 0, kw.get("eps", FEPS)); fs, fz = np_choose(a, b, lo, hi, sym)
                    got = (s.item(), z.item(), fu.scale.item(), fu.zero_point.item()); ex = (float(es), ez, float(fs), fz)
                    return True if got == ex else (got, ex)
                f.add("choose_qparams", sdn, attrs=dict(dtype=dt, qscheme=qs, quant_min=lo, quant_max=hi, eps=kw.get("eps", FEPS)),
                      inputs=dict(min=f32num(a), max=f32num(b)),
                      expected=dict(observer=dict(scale=f32num(s.item()), zero_point=int(z)),
                                    fused=dict(scale=f32num(fu.scale.item()), zero_point=int(fu.zero_point))), check=chk)
    # ranges / reduce_range / default zero points
    for dt in ("quint8", "qint8", "quint4x2"):
        for rr in (False, True):
            for cust in (None, (0, 255), (-128, 127), (-127, 127), (0, 15)):
                if dt == "quint4x2" and (cust or rr): continue
                for qs in ("per_tensor_affine", "per_tensor_symmetric"):
                    kw = {} if cust is None else dict(quant_min=cust[0], quant_max=cust[1])
                    try:
                        o = O.MinMaxObserver(dtype=DT[dt], qscheme=QS[qs], reduce_range=rr, **kw)
                        o(torch.tensor([-2.0, 5.0])); s, z = o.calculate_qparams()
                        e = dict(quant_min=o.quant_min, quant_max=o.quant_max, scale=f32num(s.item()), zero_point=int(z))
                    except (AssertionError, NotImplementedError) as ex: e = dict(error=type(ex).__name__)
                    f.add("observer_range", 0, attrs=dict(dtype=dt, qscheme=qs, reduce_range=rr, quant_min=kw.get("quant_min"), quant_max=kw.get("quant_max")),
                          inputs=dict(min=-2.0, max=5.0), expected=e)
    for kw in (dict(quant_min=1, quant_max=255), dict(quant_min=0, quant_max=0), dict(quant_min=-200, quant_max=100, dtype=torch.qint8)):
        try: O.MinMaxObserver(**kw); e = {}
        except AssertionError: e = {"error": "AssertionError"}
        f.add("observer_range_invalid", 0, attrs={k: (v if isinstance(v, int) else "qint8") for k, v in kw.items()}, expected=e)
    return f

# ------------------------------------------------------------------ 2 observers
def gen_observers(seeds):
    f = File("observers", "statistics after every batch and final qparams")
    mk = [("MinMaxObserver", {}, "quint8", "per_tensor_affine"), ("MinMaxObserver", {}, "qint8", "per_tensor_symmetric"),
          ("MovingAverageMinMaxObserver", {"averaging_constant": 0.01}, "quint8", "per_tensor_affine"),
          ("MovingAverageMinMaxObserver", {"averaging_constant": 0.25}, "qint8", "per_tensor_affine"),
          ("PerChannelMinMaxObserver", {"ch_axis": 0}, "qint8", "per_channel_symmetric"),
          ("PerChannelMinMaxObserver", {"ch_axis": 1}, "quint8", "per_channel_affine"),
          ("PerChannelMinMaxObserver", {"ch_axis": 0}, "quint8", "per_channel_affine_float_qparams"),
          ("MovingAveragePerChannelMinMaxObserver", {"ch_axis": 0, "averaging_constant": 0.01}, "qint8", "per_channel_symmetric"),
          ("MovingAveragePerChannelMinMaxObserver", {"ch_axis": 2, "averaging_constant": 0.1}, "quint8", "per_channel_affine")]
    for sdn in range(seeds):
        for cls, kw, dt, qs in mk:
            g = torch.Generator().manual_seed(200 + sdn)
            o = getattr(O, cls)(dtype=DT[dt], qscheme=QS[qs], **kw)
            xs, tr = [], []
            for b in range(3):
                x = torch.randn(3, 4, 2, generator=g) * (b + 1) + 0.3 * b
                if b == 1: o(torch.empty(0, 4, 2))                 # empty batches are ignored
                o(x); xs.append(T(x)); tr.append(dict(min_val=T(o.min_val), max_val=T(o.max_val)))
            s, z = o.calculate_qparams()
            f.add(cls, sdn, attrs=dict(dtype=dt, qscheme=qs, **kw), inputs=dict(batches=xs),
                  expected=dict(after_batch=tr, scale=T(s), zero_point=T(z)), tol={"abs": 0, "rel": 3e-7})
    for cls in ("MinMaxObserver", "PerChannelMinMaxObserver", "HistogramObserver"):
        s, z = getattr(O, cls)().calculate_qparams()
        f.add(cls + ".never_run", 0, expected=dict(scale=T(s), zero_point=T(z), warns=True))
    for nm, x in (("nan", [1.0, float("nan"), 2.0]), ("inf", [1.0, float("inf")]), ("const5", [5.0, 5.0]), ("zeros", [0.0, 0.0])):
        o = O.MinMaxObserver(); o(torch.tensor(x))
        try:
            s, z = o.calculate_qparams(); e = dict(scale=T(s), zero_point=T(z))
        except AssertionError: e = dict(error="AssertionError")
        f.add("MinMaxObserver." + nm, 0, inputs=dict(x=T(torch.tensor(x))), expected=e)
    return f

class HistFloatRange(O.HistogramObserver):
    """1.13 histogram observer but with un-truncated (float) histc bounds, as in torch 2.0-2.3."""
    def forward(self, x):
        if x.numel() == 0: return x
        real = torch.histc; rng = {}
        def histc(t, bins, min=0, max=0, out=None):
            lo, hi = rng["r"]
            h = real(t, bins, min=lo, max=hi)
            if out is not None: out.copy_(h)
            return h
        lo, hi = torch.aminmax(x)
        if float(self.min_val) == float("inf") or float(self.min_val) == float(self.max_val): rng["r"] = (float(lo), float(hi))
        else:
            a, b, _, _ = self._adjust_min_max(torch.min(lo, self.min_val), torch.max(hi, self.max_val), self.upsample_rate)
            rng["r"] = (float(a), float(b))
        torch.histc = histc
        try: return super().forward(x)
        finally: torch.histc = real

class HistMidpoint(O.HistogramObserver):
    """Range growth of torch >= 2.5: old bins are split 16-fold and moved by their mid points; +-inf values are dropped."""
    UP = 16
    def forward(self, x):
        x = x[torch.isfinite(x)]
        if x.numel() == 0: return x
        lo, hi = torch.aminmax(x)
        if float(self.min_val) == float("inf"):
            h = torch.histc(x, self.bins, min=float(lo), max=float(hi))
        else:
            o_lo, o_hi = self.min_val.clone(), self.max_val.clone(); lo, hi = torch.min(lo, o_lo), torch.max(hi, o_hi)
            h = torch.histc(x, self.bins, min=float(lo), max=float(hi))
            if lo == o_lo and hi == o_hi: h = h + self.histogram
            elif o_lo == o_hi: h = h + torch.histc(o_lo.reshape(1), self.bins, min=float(lo), max=float(hi)) * self.histogram.sum()
            else:
                n = self.bins * self.UP; fine = self.histogram.repeat_interleave(self.UP) / self.UP
                mid = torch.linspace(float(o_lo), float(o_hi), n + 1)[:-1] + 0.5 * (o_hi - o_lo) / n
                idx = (torch.bucketize(mid, torch.linspace(float(lo), float(hi), self.bins + 1), right=True) - 1).clamp(0, self.bins - 1)
                h = h + torch.bincount(idx, weights=fine, minlength=self.bins).float()
        self.histogram.copy_(h); self.min_val.copy_(lo); self.max_val.copy_(hi)
        return x

def gen_histogram(seeds):
    f = File("histogram", "variants: torch113 truncates histc bounds to int (a bug); float_range = torch 2.0-2.3; midpoint = torch >= 2.5 (recommended)")
    def data(sdn, kind):
        g = torch.Generator().manual_seed(300 + sdn); x = torch.randn(256, generator=g)
        return {"normal": [x], "relu": [torch.relu(x)], "scaled": [x * 0.2], "outlier": [torch.cat([x, torch.tensor([40.0])])],
                "two_batches": [x, 1.7 * x + 0.4], "same_range": [x, 0.5 * x], "uniform": [torch.rand(256, generator=g) * 4 - 1.5]}[kind]
    for sdn in range(seeds):
        for kind in ("normal", "relu", "scaled", "outlier", "two_batches", "same_range", "uniform"):
            for cls, var, src in ((O.HistogramObserver, "torch113", "torch-1.13"), (HistFloatRange, "float_range", "torch-2.x-rule"), (HistMidpoint, "midpoint", "torch-2.x-rule")):
                for bins, dt, qs in ((64, "quint8", "per_tensor_affine"), (2048, "quint8", "per_tensor_affine"), (2048, "qint8", "per_tensor_symmetric")):
                    if var == "torch113" and bins == 64: continue
                    xs = data(sdn, kind); o = cls(bins=bins, dtype=DT[dt], qscheme=QS[qs])
                    for x in xs: o(x)
                    nmn, nmx = o._non_linear_param_search(); s, z = o.calculate_qparams()
                    e = dict(min_val=f32num(o.min_val.item()), max_val=f32num(o.max_val.item()), total=f32num(o.histogram.sum().item()),
                             new_min=f32num(nmn.item()), new_max=f32num(nmx.item()), scale=f32num(s.item()), zero_point=int(z))
                    if bins == 64: e["histogram"] = T(o.histogram)
                    f.add("HistogramObserver", sdn, source=src, attrs=dict(variant=var, bins=bins, upsample_rate=16 if var == "midpoint" else 128, dtype=dt, qscheme=qs, kind=kind),
                          inputs=dict(batches=[T(x) for x in xs]) if (var, bins) == ("float_range", 64) else dict(same_batches_as=dict(seed=sdn, kind=kind)),
                          expected=e, tol={"abs": 1e-6, "rel": 1e-5, "int": 1})
    return f

# ------------------------------------------------------------------ 3 fake quantize
def gen_fake_quant(seeds):
    f = File("fake_quantize", "stateless fake-quant forward + clamped STE gradient; rounding is RNE(x*(1/scale)) then + zero_point")
    for sdn in range(seeds):
        r = np.random.default_rng(400 + sdn)
        for lo, hi in ((0, 255), (-128, 127), (-127, 127), (0, 127), (0, 15), (-8, 7), (-2, 1)):
            x = (r.standard_normal(48) * r.uniform(0.5, 4)).astype(f32); dy = r.standard_normal(48).astype(f32)
            s = float(f32((x.max() - x.min()) / (hi - lo) * r.uniform(0.5, 1.2))); z = int(r.integers(lo, hi + 1))
            xt = torch.tensor(x, requires_grad=True); y = torch.fake_quantize_per_tensor_affine(xt, s, z, lo, hi); y.backward(torch.tensor(dy))
            def chk(x=x, s=s, z=z, lo=lo, hi=hi, y=y, xt=xt, dy=dy):
                e, m = np_fq(x, s, z, lo, hi)
                return True if (e == y.detach().numpy()).all() and (xt.grad.numpy() == dy * m).all() else "fq mismatch"
            f.add("fake_quantize_per_tensor_affine", sdn, attrs=dict(scale=f32num(s), zero_point=z, quant_min=lo, quant_max=hi),
                  inputs=dict(x=T(xt), dy=T(dy)), expected=dict(y=T(y), dx=T(xt.grad)), check=chk)
            ax = int(r.integers(0, 3)); shp = (3, 4, 2); n = shp[ax]
            x = (r.standard_normal(shp) * 2).astype(f32); dy = r.standard_normal(shp).astype(f32)
            sc = r.uniform(0.01, 0.4, n).astype(f32); zz = r.integers(lo, hi + 1, n).astype(np.int32)
            xt = torch.tensor(x, requires_grad=True)
            y = torch.fake_quantize_per_channel_affine(xt, torch.tensor(sc), torch.tensor(zz), ax, lo, hi); y.backward(torch.tensor(dy))
            f.add("fake_quantize_per_channel_affine", sdn, attrs=dict(axis=ax, quant_min=lo, quant_max=hi),
                  inputs=dict(x=T(xt), dy=T(dy), scale=T(sc), zero_point=T(zz)), expected=dict(y=T(y), dx=T(xt.grad)))
            zf = r.uniform(lo, hi, n).astype(f32); xt = torch.tensor(x, requires_grad=True)
            y = torch.fake_quantize_per_channel_affine(xt, torch.tensor(sc), torch.tensor(zf), ax, lo, hi); y.backward(torch.tensor(dy))
            f.add("fake_quantize_per_channel_affine.float_zp", sdn, attrs=dict(axis=ax, quant_min=lo, quant_max=hi),
                  inputs=dict(x=T(xt), dy=T(dy), scale=T(sc), zero_point=T(zf)), expected=dict(y=T(y), dx=T(xt.grad)), tol={"abs": 1e-6, "rel": 1e-6})
    x = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 251.5, 252.5, 255.49, 256.6, -3.49, -3.51])
    for z in (3, 4):
        xt = x.clone().requires_grad_(); y = torch.fake_quantize_per_tensor_affine(xt, 1.0, z, 0, 255); y.sum().backward()
        f.add("fake_quantize.ties", 0, attrs=dict(scale=1.0, zero_point=z, quant_min=0, quant_max=255), inputs=dict(x=T(x)), expected=dict(y=T(y), dx=T(xt.grad)))
    x = torch.tensor([0.273939937, 1.0]); s = float(f32(0.00214854861))
    f.add("fake_quantize.reciprocal", 0, attrs=dict(scale=f32num(s), zero_point=0, quant_min=0, quant_max=255), inputs=dict(x=T(x)),
          expected=dict(y=T(torch.fake_quantize_per_tensor_affine(x, s, 0, 0, 255)), note="127.5 -> 128 with x*(1/s); x/s would give 127"))
    x = torch.tensor([float("inf"), -float("inf"), 1e30, -1e30])
    f.add("fake_quantize.saturate", 0, source="torch-2.x-rule", attrs=dict(scale=0.1, zero_point=10, quant_min=0, quant_max=255), inputs=dict(x=T(x)),
          expected=dict(y=T(torch.tensor([24.5, -1.0, 24.5, -1.0])), note="1.13 casts before clamping and sends +inf/huge to quant_min; 2.x clamps first"), tol={"abs": 1e-6, "rel": 1e-6})
    # quantize / dequantize
    for sdn in range(seeds):
        r = np.random.default_rng(450 + sdn); x = (r.standard_normal(40) * 3).astype(f32)
        for dt, lo, hi in (("quint8", 0, 255), ("qint8", -128, 127), ("qint32", -2 ** 31, 2 ** 31 - 1)):
            s = float(f32(r.uniform(0.01, 0.05))); z = int(r.integers(-50, 60)) if dt == "qint8" else (0 if dt == "qint32" else int(r.integers(0, 255)))
            q = torch.quantize_per_tensor(torch.tensor(x), s, z, DT[dt])
            f.add("quantize_per_tensor", sdn, attrs=dict(scale=f32num(s), zero_point=z, dtype=dt), inputs=dict(x=T(x)),
                  expected=dict(q=T(q), dq=T(q.dequantize())),
                  check=lambda q=q, x=x, s=s, z=z, lo=lo, hi=hi: True if (np_quant(x, s, z, lo, hi) == q.int_repr().numpy()).all() else "quantize")
        w = (r.standard_normal((4, 3, 2)) * 2).astype(f32); sc = r.uniform(0.01, 0.05, 4).astype(f32)
        q = torch.quantize_per_channel(torch.tensor(w), torch.tensor(sc).double(), torch.zeros(4, dtype=torch.long), 0, torch.qint8)
        f.add("quantize_per_channel", sdn, attrs=dict(axis=0, dtype="qint8"), inputs=dict(x=T(w), scale=T(sc), zero_point=T(np.zeros(4, np.int64))), expected=dict(q=T(q), dq=T(q.dequantize())))
    return f

def gen_lsq(seeds):
    f = File("learnable", "LSQ-style op: forward rounds zero_point RNE, backward uses floor(zp+0.5) and RNE(zp + x/s); grads are summed")
    for sdn in range(seeds):
        r = np.random.default_rng(500 + sdn)
        for lo, hi in ((0, 255), (-128, 127), (0, 15), (-8, 7), (-2, 1)):
            for gf in (1.0, "lsq"):
                n = 60; x = (r.standard_normal(n) * 1.5).astype(f32); dy = r.standard_normal(n).astype(f32)
                s = f32(r.uniform(0.3, 1.2) * 3.0 / (hi - lo)); zp = f32(r.uniform(lo, hi)) if lo == 0 else f32(0)
                g = 1.0 if gf == 1.0 else 1.0 / (n * hi) ** 0.5
                X = torch.tensor(x, requires_grad=True); Sx = torch.tensor([s], requires_grad=True); Z = torch.tensor([zp], requires_grad=True)
                Y = torch._fake_quantize_learnable_per_tensor_affine(X, Sx, Z, lo, hi, g); Y.backward(torch.tensor(dy))
                def chk(x=x, dy=dy, s=s, zp=zp, lo=lo, hi=hi, g=g, Y=Y, X=X, Sx=Sx, Z=Z):
                    inv = f32(1) / s; zf = int(np.clip(rne(zp), lo, hi)); zb = int(np.clip(f32(zp + f32(.5)), lo, hi))
                    y = ((np.clip(rne((x * inv).astype(f32)) + zf, lo, hi) - zf).astype(f32) * s).astype(f32)
                    q = rne((f32(zb) + (x * inv).astype(f32)).astype(f32)); inr = (q >= lo) & (q <= hi)
                    ds = np.where(inr, dy * (((np.clip(q, lo, hi) - zb) * s).astype(f32) - x) * inv, np.where(q < lo, dy * f32(lo - zb), dy * f32(hi - zb))) * f32(g)
                    dz = np.where(inr, 0, -dy * s * f32(g))
                    ok = (y == Y.detach().numpy()).all() and (X.grad.numpy() == np.where(inr, dy, 0)).all() and \
                        abs(ds.astype(np.float64).sum() - Sx.grad.item()) <= 2e-4 * (1 + np.abs(ds).sum()) and abs(dz.astype(np.float64).sum() - Z.grad.item()) <= 1e-5 * (1 + np.abs(dz).sum())
                    return True if ok else "lsq"
                f.add("learnable_per_tensor", sdn, attrs=dict(quant_min=lo, quant_max=hi, grad_factor=g), inputs=dict(x=T(X), dy=T(dy), scale=T(Sx), zero_point=T(Z)),
                      expected=dict(y=T(Y), dx=T(X.grad), dscale=T(Sx.grad), dzero_point=T(Z.grad)), tol={"abs": 1e-5, "rel": 2e-5}, check=chk)
            x = (r.standard_normal((3, 14)) * 1.5).astype(f32); dy = r.standard_normal((3, 14)).astype(f32)
            sc = (r.uniform(0.3, 1.2, 3) * 3.0 / (hi - lo)).astype(f32); zz = r.uniform(lo, hi, 3).astype(f32) if lo == 0 else np.zeros(3, f32)
            X = torch.tensor(x, requires_grad=True); Sx = torch.tensor(sc, requires_grad=True); Z = torch.tensor(zz, requires_grad=True); g = 1.0 / (x.size * hi) ** 0.5
            Y = torch._fake_quantize_learnable_per_channel_affine(X, Sx, Z, 0, lo, hi, g); Y.backward(torch.tensor(dy))
            f.add("learnable_per_channel", sdn, attrs=dict(axis=0, quant_min=lo, quant_max=hi, grad_factor=g), inputs=dict(x=T(X), dy=T(dy), scale=T(Sx), zero_point=T(Z)),
                  expected=dict(y=T(Y), dx=T(X.grad), dscale=T(Sx.grad), dzero_point=T(Z.grad)), tol={"abs": 1e-5, "rel": 2e-5})
    g = torch.Generator().manual_seed(7)       # module life cycle: static estimate -> learning; one SGD step
    for sym in (False, True):
        kw = dict(dtype=torch.qint8, qscheme=torch.per_tensor_symmetric, quant_min=-8, quant_max=7) if sym else dict(dtype=torch.quint8, quant_min=0, quant_max=15)
        m = _LearnableFakeQuantize(O.MovingAverageMinMaxObserver, use_grad_scaling=True, **kw); x1 = torch.randn(32, generator=g); x2 = torch.randn(32, generator=g); dy = torch.randn(32, generator=g)
        y1 = m(x1); st = dict(scale=T(m.scale), zero_point=T(m.zero_point)); m.enable_param_learning(); xr = x2.clone().requires_grad_(); y2 = m(xr); y2.backward(dy)
        e = dict(y1=T(y1), after_static=st, y2=T(y2), dx2=T(xr.grad), dscale=T(m.scale.grad), dzero_point=T(m.zero_point.grad))
        with torch.no_grad():
            for p in m.parameters(): p.sub_(0.05 * p.grad)
        y3 = m(x2); s, z = m.calculate_qparams(); e.update(y3=T(y3), qparams_scale=T(s), qparams_zero_point=T(z))
        f.add("learnable_module", 7, attrs=dict(symmetric=sym, quant_min=kw["quant_min"], quant_max=kw["quant_max"], use_grad_scaling=True, lr=0.05), inputs=dict(x1=T(x1), x2=T(x2), dy2=T(dy)), expected=e, tol={"abs": 2e-5, "rel": 2e-5})
    for sdn in range(seeds):                   # PACT (paper formula; not a torch op)
        r = np.random.default_rng(560 + sdn)
        for k in (2, 4, 8):
            x = (r.standard_normal(40) * 2).astype(f32); dy = r.standard_normal(40).astype(f32); a = f32(r.uniform(0.8, 2.5)); n = 2 ** k - 1; s = f32(a / f32(n))
            y = (rne((np.clip(x, 0, a) * (f32(1) / s)).astype(f32)) * s).astype(f32)
            f.add("pact", sdn, source="formula", attrs=dict(bits=k, alpha=f32num(a)), inputs=dict(x=T(x), dy=T(dy)), expected=dict(y=T(y), dx=T((dy * ((x > 0) & (x < a))).astype(f32)), dalpha=f32num(dy[x >= a].sum())), tol={"abs": 1e-5, "rel": 1e-5})
    return f

def gen_fq_module(seeds):
    f = File("fq_module", "FakeQuantize / FusedMovingAvgObsFakeQuantize driven through the enable/disable toggles")
    ev = ["x", "x", "disable_fake_quant", "x", "disable_observer", "enable_fake_quant", "x", "enable_observer", "x"]
    cfg = [("FakeQuantize", "act", dict(observer=O.MovingAverageMinMaxObserver, quant_min=0, quant_max=255, dtype=torch.quint8)),
           ("FakeQuantize", "act_reduced", dict(observer=O.MovingAverageMinMaxObserver, quant_min=0, quant_max=255, dtype=torch.quint8, reduce_range=True)),
           ("FakeQuantize", "wt", dict(observer=O.MovingAverageMinMaxObserver, quant_min=-128, quant_max=127, dtype=torch.qint8, qscheme=torch.per_tensor_symmetric)),
           ("FakeQuantize", "wt_pc", dict(observer=O.MovingAveragePerChannelMinMaxObserver, quant_min=-128, quant_max=127, dtype=torch.qint8, qscheme=torch.per_channel_symmetric, ch_axis=0)),
           ("FusedMovingAvgObsFakeQuantize", "act", dict(observer=O.MovingAverageMinMaxObserver, quant_min=0, quant_max=255, dtype=torch.quint8)),
           ("FusedMovingAvgObsFakeQuantize", "wt", dict(observer=O.MovingAverageMinMaxObserver, quant_min=-128, quant_max=127, dtype=torch.qint8, qscheme=torch.per_tensor_symmetric)),
           ("FusedMovingAvgObsFakeQuantize", "wt_pc", dict(observer=O.MovingAveragePerChannelMinMaxObserver, quant_min=-128, quant_max=127, dtype=torch.qint8, qscheme=torch.per_channel_symmetric))]
    for sdn in range(seeds):
        for cls, nm, kw in cfg:
            g = torch.Generator().manual_seed(600 + sdn); m = getattr(FQ, cls)(**kw); steps = []
            for e in ev:
                if e != "x": getattr(m, e)(); steps.append(dict(event=e)); continue
                x = torch.randn(4, 6, generator=g); xr = x.clone().requires_grad_(); y = m(xr); y.sum().backward()
                s, z = m.calculate_qparams()
                steps.append(dict(event="forward", x=T(x), y=T(y), dx=T(xr.grad), scale=T(m.scale), zero_point=T(m.zero_point), min_val=T(m.activation_post_process.min_val),
                                  max_val=T(m.activation_post_process.max_val), calc_scale=T(s), calc_zero_point=T(z)))
            f.add(cls + "." + nm, sdn, attrs=dict(quant_min=m.activation_post_process.quant_min, quant_max=m.activation_post_process.quant_max, averaging_constant=0.01),
                  expected=dict(steps=steps, state_dict=sd(m)), tol={"abs": 1e-6, "rel": 1e-6})
    for nm, ctr in (("0to1", FQ.default_fixed_qparams_range_0to1_fake_quant), ("neg1to1", FQ.default_fixed_qparams_range_neg1to1_fake_quant)):
        m = ctr(); x = torch.linspace(-1.3, 1.3, 27); f.add("FixedQParamsFakeQuantize." + nm, 0, attrs=dict(scale=float(m.scale), zero_point=int(m.zero_point)), inputs=dict(x=T(x)), expected=dict(y=T(m(x)), state_dict=sd(m)))
    return f

# ------------------------------------------------------------------ 4 QAT modules
def gen_qat_modules(seeds):
    f = File("qat_modules", "two SGD steps (lr 0.05) of fused QAT modules: outputs, gradients, BN statistics, fake-quant state")
    wt = {"none": nn.Identity, "fq_pt": FQ.default_weight_fake_quant, "fq_pc": FQ.default_per_channel_weight_fake_quant,
          "fused_pt": FQ.default_fused_wt_fake_quant, "fused_pc": FQ.default_fused_per_channel_wt_fake_quant}
    def build(kind, bias, w, g, grp=1):
        R = lambda *s: torch.randn(*s, generator=g)
        d2 = kind in ("ConvBn2d", "ConvBnReLU2d", "ConvReLU2d", "Conv2d"); d1 = kind in ("ConvBn1d", "ConvBnReLU1d"); bn = None
        if d2: base = nn.Conv2d(2, 4, 3, padding=1, groups=grp, stride=1, bias=bias)
        elif d1: base = nn.Conv1d(3, 4, 3, padding=1, bias=bias)
        else: base = nn.Linear(6, 4, bias=bias)
        base.weight.data = R(*base.weight.shape) * 0.3
        if bias: base.bias.data = R(4) * 0.2
        if "Bn" in kind:
            bn = (nn.BatchNorm2d if d2 else nn.BatchNorm1d)(4)
            bn.weight.data = R(4).abs() + 0.5; bn.weight.data[1] *= -1; bn.bias.data = R(4) * 0.3; bn.running_mean = R(4) * 0.2; bn.running_var = R(4).abs() + 0.5
        relu = nn.ReLU() if "ReLU" in kind else None
        mods = [m for m in (base, bn, relu) if m is not None]
        qc = tq.QConfig(activation=nn.Identity, weight=wt[w])
        if len(mods) == 1:
            base.qconfig = qc; import torch.ao.nn.qat as nnqat; q = getattr(nnqat, kind).from_float(base.train())
        else:
            m = getattr(nni, kind)(*mods).train(); m.qconfig = qc; m[0].qconfig = qc; q = getattr(nniqat, kind).from_float(m)
        return q, ((2, 2, 4, 4) if d2 else (3, 3, 5) if d1 else (5, 6))
    plans = [(k, b, w, "train") for k in ("ConvBn2d", "ConvBnReLU2d") for b in (False, True) for w in wt] + \
            [("ConvBn2d", True, "fq_pt", m) for m in ("frozen", "eval", "slow", "frozen_slow")] + \
            [("ConvBn1d", True, "fq_pc", "train"), ("ConvBnReLU1d", False, "fused_pc", "train"), ("LinearBn1d", True, "fq_pc", "train"), ("LinearBn1d", True, "fused_pt", "train"), ("LinearBn1d", True, "fq_pt", "eval"),
             ("ConvReLU2d", True, "fq_pc", "train"), ("Conv2d", True, "fq_pt", "train"), ("Linear", True, "fq_pc", "train"), ("LinearReLU", False, "fused_pc", "train")]
    for sdn in range(seeds):
        for kind, bias, w, mode in plans:
            if sdn and kind == "ConvBnReLU2d" and w not in ("fq_pt", "fused_pc"): continue
            grp = 2 if (kind == "ConvBnReLU2d" and w == "fq_pc") else 1
            g = torch.Generator().manual_seed(700 + sdn); q, shp = build(kind, bias, w, g, grp)
            if "slow" in mode: q._enable_slow_path_for_better_numerical_stability = True
            if "frozen" in mode: q.freeze_bn_stats()
            if mode == "eval": q.eval()
            init = sd(q); steps = []
            for _ in range(2 if mode == "train" else 1):
                x = torch.randn(*shp, generator=g); xr = x.clone().requires_grad_(); q.zero_grad(); y = q(xr); dy = torch.randn(*y.shape, generator=g); y.backward(dy)
                st = dict(x=T(x), dy=T(dy), y=T(y), dx=T(xr.grad), grads={n: T(p.grad) for n, p in q.named_parameters() if p.grad is not None})
                with torch.no_grad():
                    for p in q.parameters():
                        if p.grad is not None: p.sub_(0.05 * p.grad)
                st["state_after"] = {k: v for k, v in sd(q).items() if "eps" not in k and "enabled" not in k}; steps.append(st)
            base = q
            f.add(f"{kind}", sdn, attrs=dict(weight_fake_quant=w, bias=bias, mode=mode, groups=getattr(q, "groups", 1), padding=1 if "Conv" in kind else 0, eps=1e-5, momentum=0.1, lr=0.05),
                  inputs=dict(state=init), expected=dict(steps=steps), tol={"abs": 5e-5, "rel": 5e-4})
    g = torch.Generator().manual_seed(3)       # BN folding at convert time
    for sdn in range(seeds):
        R = lambda *s: torch.randn(*s, generator=g)
        c = nn.Conv2d(3, 4, 3).eval(); b = nn.BatchNorm2d(4).eval(); b.weight.data = R(4); b.bias.data = R(4); b.running_mean = R(4); b.running_var = R(4).abs() + .1
        fu = tq.fuse_modules(nn.Sequential(c, b).eval(), ["0", "1"])[0]
        f.add("fold_conv_bn", sdn, attrs=dict(eps=1e-5), inputs=dict(weight=T(c.weight), bias=T(c.bias), gamma=T(b.weight), beta=T(b.bias), mean=T(b.running_mean), var=T(b.running_var)), expected=dict(weight=T(fu.weight), bias=T(fu.bias)), tol={"abs": 2e-6, "rel": 2e-6})
    return f

# ------------------------------------------------------------------ 5 quantized kernels
def rq(r, k=1.0): return float(f32(r.uniform(.005, .06) * k)), int(r.integers(0, 256))
def qw(w, pc, r):
    if pc:
        sw = (np.abs(w).reshape(w.shape[0], -1).max(1) / 127).astype(f32)
        return torch.quantize_per_channel(torch.tensor(w), torch.tensor(sw).double(), torch.zeros(len(sw), dtype=torch.long), 0, torch.qint8), sw
    sw = f32(np.abs(w).max() / 127); return torch.quantize_per_tensor(torch.tensor(w), float(sw), 0, torch.qint8), sw

def gen_qlinear_qconv(seeds):
    f = File("qlinear_qconv", "int8 linear/conv; engine=qnnpack and onednn are executed, engine=fbgemm is the FBGEMM requantization formula in numpy")
    engs = [e for e in ("qnnpack", "onednn") if e in torch.backends.quantized.supported_engines]
    def emit(op, sdn, attrs, X, W, sw, b, zo, so, acc, run, ax, pc):
        lo = zo if attrs.get("relu") else 0
        for e in engs:
            engine(e); Y = run()
            chk = None
            if e == "qnnpack": chk = lambda Y=Y: True if (np_requant_qnnpack(acc, b, X.q_scale(), sw, so, zo, lo, 255, ax) == Y.int_repr().numpy()).all() else "qnnpack requant"
            f.add(op, sdn, source="torch-1.13/" + e, attrs=dict(attrs, engine=e, out_scale=f32num(so), out_zero_point=zo), inputs=dict(x=QT(X), w=QT(W), **({} if b is None else {"bias": T(b)})) if e == engs[0] else dict(same_as_previous=True), expected=dict(y=T(Y)), check=chk)
        y = np_requant_fbgemm(acc, b, X.q_scale(), sw, so, zo, lo, 255, ax, pc)
        f.add(op, sdn, source="formula", attrs=dict(attrs, engine="fbgemm", out_scale=f32num(so), out_zero_point=zo), inputs=dict(same_as_previous=True), expected=dict(y=T(y.astype(np.uint8))),
              check=lambda: True if op != "qlinear" and op != "qconv2d" or np.abs(y - Y.int_repr().numpy().astype(np.int64)).max() <= 1 else "fbgemm formula far from " + e)
    for sdn in range(seeds):
        r = np.random.default_rng(800 + sdn)
        for pc in (False, True):
            for relu in (False, True):
                for (M, K, N) in ((3, 17, 5), (1, 64, 9), (7, 8, 4)):
                    x = r.standard_normal((M, K)).astype(f32); w = (r.standard_normal((N, K)) * .3).astype(f32); b = r.standard_normal(N).astype(f32) if (M != 7) else None
                    sx, zx = rq(r); so, zo = rq(r, 5); X = torch.quantize_per_tensor(torch.tensor(x), sx, zx, torch.quint8); W, sw = qw(w, pc, r)
                    acc = (X.int_repr().numpy().astype(np.int64) - zx) @ W.int_repr().numpy().astype(np.int64).T
                    def run(W=W, b=b, X=X, so=so, zo=zo, relu=relu):
                        P = QOPS.linear_prepack(W, None if b is None else torch.tensor(b)); return (QOPS.linear_relu if relu else QOPS.linear)(X, P, so, zo)
                    emit("qlinear", sdn, dict(relu=relu, per_channel=pc), X, W, sw, b, zo, so, acc, run, 1, pc)
        for nm, (ci, co, k, st, pd, dl, gr) in {"3x3": (3, 5, 3, 1, 1, 1, 1), "stride2": (3, 4, 3, 2, 1, 1, 1), "1x1": (6, 4, 1, 1, 0, 1, 1), "depthwise": (6, 6, 3, 1, 1, 1, 6), "grouped": (4, 6, 3, 1, 0, 1, 2), "dilated": (2, 4, 3, 1, 2, 2, 1)}.items():
            for pc in (False, True):
                relu = bool(r.integers(0, 2)); x = r.standard_normal((1, ci, 6, 5)).astype(f32); w = (r.standard_normal((co, ci // gr, k, k)) * .3).astype(f32); b = r.standard_normal(co).astype(f32)
                sx, zx = rq(r); so, zo = rq(r, 5); X = torch.quantize_per_tensor(torch.tensor(x), sx, zx, torch.quint8); W, sw = qw(w, pc, r)
                acc = F.conv2d(torch.tensor((X.int_repr().numpy().astype(np.int64) - zx).astype(np.float64)), torch.tensor(W.int_repr().numpy().astype(np.float64)), None, st, pd, dl, gr).numpy().astype(np.int64)
                def run(W=W, b=b, X=X, so=so, zo=zo, relu=relu, st=st, pd=pd, dl=dl, gr=gr):
                    P = QOPS.conv2d_prepack(W, torch.tensor(b), [st, st], [pd, pd], [dl, dl], gr); return (QOPS.conv2d_relu if relu else QOPS.conv2d)(X, P, so, zo)
                emit("qconv2d", sdn, dict(kind=nm, relu=relu, per_channel=pc, stride=st, padding=pd, dilation=dl, groups=gr), X, W, sw, b, zo, so, acc, run, 1, pc)
    # exact .5 ties, saturation of the output, extreme codes, requantization scale above 1
    X = torch._make_per_tensor_quantized_tensor(torch.arange(0, 24, dtype=torch.uint8).reshape(24, 1), 1.0, 5); W = torch._make_per_tensor_quantized_tensor(torch.tensor([[1], [-3]], dtype=torch.int8), 1.0, 0)
    acc = (np.arange(24).reshape(24, 1) - 5) @ np.array([[1, -3]])
    for so, zo in ((2.0, 10), (2.0, 11), (0.5, 100), (4.0, 0)):
        for b in (np.array([0.0, 0.0], f32), np.array([0.5, -1.5], f32)):
            def run(b=b, so=so, zo=zo): return QOPS.linear(X, QOPS.linear_prepack(W, torch.tensor(b)), so, zo)
            emit("qlinear.ties", 0, dict(relu=False, per_channel=False), X, W, f32(1), b, zo, so, acc, run, 1, False)
    r = np.random.default_rng(5); xi = r.choice([0, 255], (4, 64)).astype(np.uint8); wi = r.choice([-128, 127], (3, 64)).astype(np.int8)
    xi[0] = 255; wi[0] = 127; wi[1] = -128
    X = torch._make_per_tensor_quantized_tensor(torch.tensor(xi), 1.0, 0); W = torch._make_per_tensor_quantized_tensor(torch.tensor(wi), 1.0, 0); acc = xi.astype(np.int64) @ wi.astype(np.int64).T
    for so, zo in ((16384.0, 128), (1024.0, 0)):
        def run(so=so, zo=zo): return QOPS.linear(X, QOPS.linear_prepack(W, torch.zeros(3)), so, zo)
        emit("qlinear.extremes", 0, dict(relu=False, per_channel=False, note="u8 x s8 pair sums exceed int16: must be exact, never saturated"), X, W, f32(1), np.zeros(3, f32), zo, so, acc, run, 1, False)
    for sdn in range(seeds):                  # what a naive vpmaddubsw kernel would give
        r = np.random.default_rng(850 + sdn)
        for rr in (False, True):
            a = r.integers(0, 128 if rr else 256, 32).astype(np.int64); w = r.integers(-128, 128, 32).astype(np.int64); w[:8] = np.abs(w[:8]); a[:8] = a.max()
            w = np.clip(w, -128, 127); pr = (a * w).reshape(-1, 2).sum(1)
            f.add("maddubs_pairs", sdn, source="formula", attrs=dict(reduce_range=rr), inputs=dict(a=T(a.astype(np.uint8)), w=T(w.astype(np.int8))), expected=dict(exact=int(pr.sum()), saturating=int(np.clip(pr, -32768, 32767).sum())))
    engine("qnnpack")
    return f

def gen_qops(seeds):
    f = File("qops", "elementwise / pooling / activation kernels; engine attr says whose rounding it is")
    engs = [e for e in ("qnnpack", "onednn") if e in torch.backends.quantized.supported_engines]
    def both(op, sdn, attrs, inputs, fn, only=None, check=None):
        for e in engs:
            if only and e not in only: continue
            engine(e); y = fn()
            f.add(op, sdn, source="torch-1.13/" + e, attrs=dict(attrs, engine=e if e == "qnnpack" else "native"), inputs=inputs if e == (only or engs)[0] else dict(same_as_previous=True), expected=dict(y=QT(y)), check=(lambda y=y, e=e: check(y, e)) if check else None)
    for sdn in range(seeds):
        r = np.random.default_rng(900 + sdn)
        sa, za = rq(r); sb, zb = rq(r); so, zo = rq(r, 2); zo = min(zo, 250)
        a = torch.quantize_per_tensor(torch.tensor(r.standard_normal((2, 19)).astype(f32)), sa, za, torch.quint8); b = torch.quantize_per_tensor(torch.tensor(r.standard_normal((2, 19)).astype(f32)), sb, zb, torch.quint8)
        at = dict(out_scale=f32num(so), out_zero_point=zo); I = dict(a=QT(a), b=QT(b)); da, db = a.dequantize().numpy(), b.dequantize().numpy()
        both("qadd", sdn, at, I, lambda: QOPS.add(a, b, so, zo), check=lambda y, e: True if e == "qnnpack" or (np_quant(da + db, so, zo, 0, 255) == y.int_repr().numpy()).all() else "add")
        both("qadd_relu", sdn, at, I, lambda: QOPS.add_relu(a, b, so, zo)); both("qmul", sdn, at, I, lambda: QOPS.mul(a, b, so, zo), check=lambda y, e: True if (np_quant(da * db, so, zo, 0, 255) == y.int_repr().numpy()).all() else "mul")
        both("qcat", sdn, dict(at, dim=1), I, lambda: QOPS.cat([a, b], 1, so, zo), check=lambda y, e: True if (np.concatenate([np_quant(da, so, zo, 0, 255), np_quant(db, so, zo, 0, 255)], 1) == y.int_repr().numpy()).all() else "cat")
        for c in (0.75, -0.5, 3.0): both("qadd_scalar", sdn, dict(c=c), dict(a=QT(a)), lambda c=c: QOPS.add_scalar(a, c), only=("onednn",) if "onednn" in engs else None); both("qmul_scalar", sdn, dict(c=c), dict(a=QT(a)), lambda c=c: QOPS.mul_scalar(a, c), only=("onednn",) if "onednn" in engs else None)
        for nm, fn in (("relu", torch.relu), ("relu6", QOPS.relu6), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh), ("hardsigmoid", F.hardsigmoid)): both("q" + nm, sdn, {}, dict(a=QT(a)), lambda fn=fn: fn(a))
        both("qhardswish", sdn, at, dict(a=QT(a)), lambda: QOPS.hardswish(a, so, zo)); both("qleaky_relu", sdn, dict(at, slope=0.1), dict(a=QT(a)), lambda: QOPS.leaky_relu(a, 0.1, False, so, zo)); both("qelu", sdn, dict(at, alpha=1.0), dict(a=QT(a)), lambda: QOPS.elu(a, so, zo, 1.0))
        x = torch.quantize_per_tensor(torch.tensor(r.standard_normal((1, 3, 6, 6)).astype(f32)), sa, za, torch.quint8); J = dict(x=QT(x))
        both("qavg_pool2d", sdn, dict(kernel=2, stride=2, padding=0), J, lambda: F.avg_pool2d(x, 2)); both("qavg_pool2d", sdn, dict(kernel=3, stride=1, padding=1, count_include_pad=True), J, lambda: F.avg_pool2d(x, 3, 1, 1))
        both("qavg_pool2d", sdn, dict(kernel=3, stride=2, padding=1, count_include_pad=False), J, lambda: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), only=("onednn",) if "onednn" in engs else ())   # qnnpack ignores the flag (bug)
        both("qadaptive_avg_pool2d", sdn, dict(output=1), J, lambda: F.adaptive_avg_pool2d(x, 1)); both("qadaptive_avg_pool2d", sdn, dict(output=3), J, lambda: F.adaptive_avg_pool2d(x, 3)); both("qmean_hw", sdn, {}, J, lambda: x.mean([2, 3], keepdim=True)); both("qmax_pool2d", sdn, dict(kernel=2, stride=2, padding=0), J, lambda: F.max_pool2d(x, 2)); both("qmax_pool2d", sdn, dict(kernel=3, stride=2, padding=1), J, lambda: F.max_pool2d(x, 3, 2, 1))
    a = torch._make_per_tensor_quantized_tensor(torch.arange(0, 24, dtype=torch.uint8), 1.0, 5)
    one = torch._make_per_tensor_quantized_tensor(torch.full((24,), 6, dtype=torch.uint8), 1.0, 5); zer = torch._make_per_tensor_quantized_tensor(torch.full((24,), 5, dtype=torch.uint8), 1.0, 5)
    for zo in (10, 11):
        both("qadd.ties", 0, dict(out_scale=2.0, out_zero_point=zo, note="qnnpack: half away from zero; native: half to even"), dict(a=QT(a), b=QT(zer)), lambda: QOPS.add(a, zer, 2.0, zo)); both("qmul.ties", 0, dict(out_scale=2.0, out_zero_point=zo), dict(a=QT(a), b=QT(one)), lambda: QOPS.mul(a, one, 2.0, zo))
    engine("qnnpack")
    return f

# ------------------------------------------------------------------ 6 end to end + numeric suite
class Net(nn.Module):
    def __init__(s):
        super().__init__(); s.quant = tq.QuantStub(); s.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False); s.bn1 = nn.BatchNorm2d(4); s.relu1 = nn.ReLU()
        s.conv2 = nn.Conv2d(4, 4, 1); s.bn2 = nn.BatchNorm2d(4); s.skip = nn.quantized.FloatFunctional(); s.pool = nn.MaxPool2d(2); s.fc1 = nn.Linear(36, 8); s.relu2 = nn.ReLU(); s.fc2 = nn.Linear(8, 3); s.dequant = tq.DeQuantStub()
    def forward(s, x):
        x = s.relu1(s.bn1(s.conv1(s.quant(x)))); x = s.skip.add_relu(s.bn2(s.conv2(x)), x); x = s.pool(x).flatten(1)
        return s.dequant(s.fc2(s.relu2(s.fc1(x))))
def gen_e2e(seeds):
    f = File("e2e", "fuse -> prepare_qat -> 3 SGD steps -> freeze -> convert, qnnpack qconfig; v0 = FakeQuantize, v1 = fused (train/convert weight scales differ in v1!)")
    engine("qnnpack")
    for sdn in range(seeds):
        for ver in (0, 1):
            torch.manual_seed(1000 + sdn); m = Net().train(); m = tq.fuse_modules_qat(m, [["conv1", "bn1", "relu1"], ["conv2", "bn2"], ["fc1", "relu2"]]); m.qconfig = tq.get_default_qat_qconfig("qnnpack", version=ver); p = tq.prepare_qat(m)
            init = sd(p); data = []; losses = []; opt = torch.optim.SGD(p.parameters(), 0.05)
            for _ in range(3):
                x = torch.randn(4, 2, 6, 6); y = torch.randint(0, 3, (4,)); opt.zero_grad(); l = F.cross_entropy(p(x), y); l.backward(); opt.step(); data.append(dict(x=T(x), y=T(y))); losses.append(f32num(l.item()))
            p.apply(tq.disable_observer); p.apply(nniqat.freeze_bn_stats); p.eval(); xt = torch.randn(3, 2, 6, 6)
            with torch.no_grad(): yf = p(xt); trained = sd(p); c = tq.convert(copy.deepcopy(p)); yq = c(xt)
            conv = {}
            for n, mod in c.named_modules():
                if hasattr(mod, "weight") and callable(mod.weight): conv[n] = dict(type=type(mod).__name__, weight=QT(mod.weight()), bias=T(mod.bias()), scale=f32num(mod.scale), zero_point=int(mod.zero_point))
                elif n in ("quant", "skip"): conv[n] = dict(type=type(mod).__name__, scale=f32num(float(mod.scale)), zero_point=int(mod.zero_point))
            f.add("qat_flow", sdn, source="torch-1.13/qnnpack", attrs=dict(qconfig_version=ver, lr=0.05, fuse=[["conv1", "bn1", "relu1"], ["conv2", "bn2"], ["fc1", "relu2"]]), inputs=dict(init_state=init, batches=data, x_test=T(xt)),
                  expected=dict(losses=losses, trained_state=trained, y_fake_quant=T(yf), converted=conv, y_quantized=T(yq), sqnr_db=fnum(nsu.compute_sqnr(yf, yq)) if float((yf - yq).norm()) > 0 else "inf"), tol={"abs": 2e-4, "rel": 2e-3})
    for sdn in range(seeds):
        g = torch.Generator().manual_seed(1100 + sdn); x = torch.randn(30, generator=g); y = x + 0.05 * torch.randn(30, generator=g)
        f.add("numeric_suite", sdn, inputs=dict(x=T(x), y=T(y)), expected=dict(sqnr_db=fnum(nsu.compute_sqnr(x, y)), normalized_l2=fnum(nsu.compute_normalized_l2_error(x, y)), cosine=fnum(nsu.compute_cosine_similarity(x, y))), tol={"abs": 1e-4, "rel": 1e-5})
    return f

GENS = [gen_qparams, gen_observers, gen_histogram, gen_fake_quant, gen_lsq, gen_fq_module, gen_qat_modules, gen_qlinear_qconv, gen_qops, gen_e2e]
def main():
    ap = argparse.ArgumentParser(); ap.add_argument("outdir"); ap.add_argument("--seeds", type=int, default=3); ap.add_argument("--check", action="store_true"); ap.add_argument("--only", default="")
    a = ap.parse_args(); CHECK["on"] = a.check; os.makedirs(a.outdir, exist_ok=True); engine("qnnpack"); tot = 0; n = 0
    for gen in GENS:
        if a.only and a.only not in gen.__name__: continue
        torch.manual_seed(0); f = gen(a.seeds); p = f.write(a.outdir); s = os.path.getsize(p); tot += s; n += len(f.cases); print(f"{f.name:16s} {len(f.cases):5d} cases {s/1024:8.1f} KiB")
    print(f"total            {n:5d} cases {tot/1024:8.1f} KiB")
    if a.check:
        print(f"formula checks: {CHECK['n']} run, {len(CHECK['bad'])} mismatched")
        for b in CHECK["bad"][:20]: print("  ", b)
        sys.exit(1 if CHECK["bad"] else 0)
if __name__ == "__main__": main()
