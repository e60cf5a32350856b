"""CTA accelerator: wires the blocks together."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.cta.batch_control import BatchControl
from gen.cta.centroid import CentroidAggregation
from gen.cta.cluster_index import ClusterIndex
from gen.cta.cluster_order import ClusterOrder
from gen.cta.cluster_table import ClusterTables
from gen.cta.control import Control
from gen.cta.issue import Issue
from gen.cta.lane import Lane
from gen.cta.loader import Loader
from gen.cta.output import Beat, OutputStream
from gen.cta.parameter import Parameters
from gen.cta.partial_sum import PartialSums
from gen.cta.ppe import PPEOp
from gen.cta.ppe_row import PPERow
from gen.cta.probability import Probability
from gen.cta.schedule import Schedule
from gen.cta.sequencer import Sequencer
from gen.cta.systolic_array import SystolicArray
from gen.cta.words import JobWord, LoadCommand, StatusWord, Trace, beat_width
from gen.cta.write_back import WriteBackControl
from gen.emit import place
from gen.fixed import popcount
from model.cta.config import CTAConfig
from model.cta.job import Mode
from model.cta.layout import ELEMENT_WIDTH
from model.cta.schedule import Op
from model.cta.timing import HASH_STAGES, SCORE_STAGES

__all__ = ["CTA"]


class CTA(wiring.Component):
    """Compressed token attention: one head a job, from tokens and weights to outputs.

    Streams (valid/ready): ``load`` and ``data`` bring tokens, weights and parameters; ``job`` starts a
    head; ``out`` gives the output rows; ``status`` tells how it went. Words and rows are described in
    ``model.cta.layout`` and docs/programming.md. Loads are taken between jobs.

    Timing: a job takes ``model.cta.cycles.head_cycles`` cycles from its acceptance to the last O in its
    bank; then ``out`` flows, then ``status``. The synchronous reset stops everything within a cycle; loaded
    tensors and parameters stay.

    Numerics: golden ``model.cta.head.run``. Source: Fig. 7.
    """

    module_name = "cta"

    def __init__(self, cfg: CTAConfig = CTAConfig()):
        self.cfg = cfg
        cfg.require_buildable()
        super().__init__({
            "load": In(stream.Signature(LoadCommand)), "data": In(stream.Signature(beat_width(cfg))),
            "job": In(stream.Signature(JobWord)), "out": Out(stream.Signature(Beat(cfg))),
            "status": Out(stream.Signature(StatusWord)), "activity": Out(Trace),
        })

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg

        def add(name, component):
            m.submodules[name] = place(platform, component)
            return component

        control = add("control", Control(cfg))
        loader = add("loader", Loader(cfg))
        parameters = add("parameters", Parameters(cfg))
        lanes = [add(f"lane_{i}", Lane(cfg)) for i in range(cfg.d)]
        array = add("array", SystolicArray(cfg))
        ppe = add("ppe_row", PPERow(cfg))
        partial = add("partial_sums", PartialSums(cfg))
        cim = add("cluster_index", ClusterIndex(cfg))
        tables = add("cluster_tables", ClusterTables(cfg))
        order = add("cluster_order", ClusterOrder(cfg))
        cag = add("centroid", CentroidAggregation(cfg))
        pag = add("probability", Probability(cfg))
        batches = add("batch_control", BatchControl(cfg))
        schedule = add("schedule", Schedule(cfg))
        sequencer = add("sequencer", Sequencer(cfg))
        issue = add("issue", Issue(cfg))
        write_back = add("write_back", WriteBackControl(cfg))
        output = add("output", OutputStream(cfg))

        job, start = control.word, control.start
        exact = job.mode == Mode.EXACT
        k = Signal(range(cfg.k12 + 1))
        k2 = Mux(exact, 0, cag.k[2])
        m.d.comb += k.eq(cag.k[1] + k2)

        # Host to banks.
        wiring.connect(m, wiring.flipped(self.load), loader.load)
        wiring.connect(m, wiring.flipped(self.data), loader.data)
        wiring.connect(m, wiring.flipped(self.job), control.job)
        m.d.comb += [
            loader.enable.eq(control.loads), loader.clear_error.eq(control.take),
            loader.used.eq(start), control.kv_rows.eq(loader.kv_rows),
            control.q_rows.eq(loader.q_rows),
            parameters.w_en.eq(loader.p_en), parameters.w_set.eq(loader.p_set),
            parameters.w_addr.eq(loader.p_addr), parameters.w_data.eq(loader.beat[:32]),
            parameters.set.eq(job.set),
        ]
        for i, lane in enumerate(lanes):
            at = i % cfg.lanes * ELEMENT_WIDTH
            mine = loader.group == i // cfg.lanes
            m.d.comb += [lane.load.token.eq(loader.write.token & mine),
                         lane.load.weight.eq(loader.write.weight & mine),
                         lane.load.addr.eq(loader.write.addr),
                         lane.load_data.eq(loader.beat[at:at + ELEMENT_WIDTH])]

        # The schedule: rows to slots to the edges of the array.
        slot = sequencer.slot
        m.d.comb += [
            schedule.start.eq(start), schedule.job.eq(job), schedule.k0.eq(cag.k[0]),
            schedule.k1.eq(cag.k[1]), schedule.k.eq(k), schedule.c1_done.eq(order.c1_done),
            schedule.centroids_done.eq(order.centroids_done), schedule.ap_done.eq(pag.done),
            schedule.out_issued.eq((slot.op == Op.OUT) & slot.last),
            sequencer.stop.eq(start), issue.slot.eq(slot), issue.ct1.eq(tables.one[1]),
        ]
        wiring.connect(m, schedule.rows, sequencer.rows)

        # Tokens, weights, centroids, K and V enter from the left, a lane a row.
        for i, lane in enumerate(lanes):
            below, above = lanes[i - 1] if i else None, lanes[i + 1] if i + 1 < cfg.d else None
            m.d.comb += [
                lane.cmd.eq(below.cmd_up if below else issue.cmd),
                lane.kv.eq(below.kv_up if below else write_back.kv),
                lane.o.eq(above.o_down if above else write_back.o),
                *(to.eq(by) for to, by in zip(lane.linear, ppe.linear)),
                *(to.eq(by) for to, by in zip(lane.out, ppe.out)),
                array.x[i].eq(lane.x), array.ctl[i].eq(lane.pe), array.latch[i].eq(lane.latch),
            ]

        # Bottom: AP, biases, partial sums. Top: PPEs, whose Q returns by the shortcut.
        m.d.comb += [
            parameters.bias_en.eq(issue.bias_en), parameters.bias_v.eq(issue.bias_v),
            parameters.bias_addr.eq(issue.bias_addr),
            partial.ctl.eq(issue.inject), partial.ctl.bias.eq(parameters.bias),
            partial.write.eq(issue.partial), ppe.ctl.eq(issue.ppe),
        ]
        for j in range(cfg.b):
            m.d.comb += [
                array.inject[j].eq(partial.inject[j]), partial.sum[j].eq(array.sum[j]),
                array.ap[j].eq(pag.ap[j]), array.shortcut[j].eq(ppe.linear[j]),
                array.shift[j].eq(ppe.shift[j]), ppe.sum[j].eq(array.sum[j]),
                ppe.ap_top[j].eq(array.ap_top[j]), ppe.res[j].eq(array.res[j]),
                pag.score[j].eq(ppe.score[j]),
            ]
        for name in ("shift_q", "shift_k", "shift_v", "shift_s", "shift_o"):
            m.d.comb += getattr(ppe, name).eq(getattr(job, name))
        m.d.comb += ppe.exact.eq(exact)
        for name in ("lsh_bias", "inv_w", "pre", "post"):
            m.d.comb += [to.eq(by) for to, by in zip(getattr(ppe, name), getattr(parameters, name))]
        m.d.comb += [write_back.start.eq(start), write_back.ppe.eq(issue.ppe)]

        # Hash values to cluster indices to tables.
        hashed = delay(m, issue.ppe, HASH_STAGES, reset=True)
        hashed = type(issue.ppe)(issue.ppe.shape(), hashed)
        m.d.comb += [
            *(to.eq(by) for to, by in zip(cim.hash, ppe.hash)),
            cim.valid.eq(hashed.op == PPEOp.HASH), cim.first.eq(hashed.first),
            cim.last.eq(hashed.last), cim.lsh.eq(hashed.lsh), cim.hpass.eq(hashed.hpass),
            order.start.eq(start), order.job.eq(job), order.ct_valid.eq(cim.ct_valid),
            order.ct_first.eq(cim.ct_first), order.ct_last.eq(cim.ct_last),
            order.ct_lsh.eq(cim.ct_lsh), order.lost.eq(cim.overflow),
            tables.identity.eq(exact), tables.w_en.eq(cim.ct_valid), tables.w_lsh.eq(cim.ct_lsh),
            tables.w_addr.eq(order.ct_index), tables.w_data.eq(cim.ct),
            tables.one_en.eq(issue.ct_en | output.ct_en),
            tables.one_addr.eq(Mux(output.ct_en, output.ct_addr, issue.ct_addr)),
            tables.pair_en.eq(pag.ct_en), tables.pair_addr.eq(pag.ct_addr),
            tables.cag_en.eq(cag.ct_en), tables.cag_lsh.eq(cag.ct_lsh),
            tables.cag_addr.eq(cag.ct_addr),
        ]

        # Centroids, on two columns of the array.
        wiring.connect(m, order.jobs, cag.job)
        m.d.comb += [
            cag.ct.eq(tables.cag), cag.ct1.eq(tables.cag_ct1),
            array.cacc_en.eq(cag.cacc_en), array.cavg_en.eq(cag.cavg_en),
            array.cavg_value.eq(cag.cavg_value),
            order.done.eq(cag.done), order.done_lsh.eq(cag.c_lsh),
            order.done_slice.eq(cag.c_slice),
        ]
        for i, lane in enumerate(lanes):
            m.d.comb += [
                lane.cag.en.eq(cag.tok_en), lane.cag.residual.eq(cag.residual),
                lane.cag.addr.eq(cag.tok_addr), lane.cag.c1_addr.eq(cag.c1_addr),
                array.cacc_x[i].eq(lane.cag_x), array.cacc_acc[i].eq(cag.acc[i]),
                cag.cacc_sum[i].eq(array.cacc_sum[i]),
                array.cavg_x[i].eq(cag.cavg_x[i]), cag.cavg_sum[i].eq(array.cavg_sum[i]),
                lane.c.c1.eq(cag.c_we & (cag.c_lsh == 1)),
                lane.c.c02.eq(cag.c_we & (cag.c_lsh != 1)),
                lane.c.addr.eq(cag.c_addr), lane.c_data.eq(cag.c_data[i]),
            ]

        # Scores to probabilities.
        scored = delay(m, issue.ppe, SCORE_STAGES, reset=True)
        scored = type(issue.ppe)(issue.ppe.shape(), scored)
        m.d.comb += [
            pag.score_valid.eq(scored.op == PPEOp.SCORE), pag.score_first.eq(scored.first),
            pag.score_level2.eq(scored.level2), pag.score_last.eq(scored.last),
            pag.start.eq(batches.pag_start), pag.n.eq(job.n), pag.exact.eq(exact),
            pag.cols.eq(batches.cols), pag.clear.eq(start), pag.clear_count.eq(job.n),
            pag.ct1_even.eq(tables.pair[2]), pag.ct1_odd.eq(tables.pair[3]),
            pag.ct2_even.eq(tables.pair[4]), pag.ct2_odd.eq(tables.pair[5]),
            pag.ap_en.eq(issue.ap_en), pag.ap_level2.eq(issue.ap_level2),
            pag.ap_index.eq(issue.ap_entry),
            batches.start.eq(start), batches.k0.eq(cag.k[0]), batches.cs_done.eq(pag.cs_done),
            batches.pag_done.eq(pag.done),
            batches.ap_last.eq(issue.ap_last),
        ]

        # Outputs and status.
        m.d.comb += [
            output.start.eq(control.read_out), output.n.eq(job.n), output.m.eq(job.m),
            output.tables.eq(job.tables),
            *(to.eq(by) for to, by in zip(output.ct, tables.one)),
            *(to.eq(lane.read_data) for to, lane in zip(output.row, lanes)),
            *(lane.read_en.eq(output.row_en) for lane in lanes),
            *(lane.read_addr.eq(output.row_addr) for lane in lanes),
        ]
        wiring.connect(m, output.out, wiring.flipped(self.out))
        wiring.connect(m, control.status, wiring.flipped(self.status))
        residuals = popcount(Cat(lane.cag_moved for lane in lanes))
        m.d.comb += [
            control.load_error.eq(loader.error), control.load_busy.eq(loader.busy),
            control.load_offered.eq(self.load.valid),
            control.load_taken.eq(self.load.valid & self.load.ready),
            control.ended.eq(schedule.ended & ~sequencer.busy), control.out_done.eq(output.done),
            control.key_issued.eq(slot.op == Op.K), control.query_issued.eq(slot.op == Op.Q),
            control.k[0].eq(cag.k[0]), control.k[1].eq(cag.k[1]), control.k[2].eq(k2),
            *(to.eq(by) for to, by in zip(control.overflow, order.overflow)),
            control.zero_rows.eq(ppe.zero_rows),
        ]
        events = (residuals, cag.sat_centroid, ppe.sat_hash, ppe.sat_linear, ppe.sat_score,
                  pag.sat_prob, ppe.sat_output)
        m.d.comb += [to.eq(by) for to, by in zip(control.events, events)]

        m.d.comb += [
            self.activity.sa.eq(sequencer.activity), self.activity.lsh.eq(slot.lsh),
            self.activity.cim.eq(cim.ct_valid), self.activity.cacc.eq(cag.cacc_busy),
            self.activity.cavg.eq(cag.cavg_busy), self.activity.pag.eq(batches.pag_busy),
            self.activity.drain.eq(ppe.shift[0]), self.activity.load.eq(loader.busy),
            self.activity.output.eq(output.busy),
        ]
        return m
