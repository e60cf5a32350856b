// Memory with one port; behavioural, replace by a macro. A cycle writes or reads, never both: a read
// beside a write gives anything, and in simulation the check below ends the run.
// Read data is valid the cycle after the address and holds while r_en is low.
// SPDX-License-Identifier: Apache-2.0
module hl_sram_1rw #(
    parameter WIDTH = 8,
    parameter DEPTH = 16,
    parameter AW = (DEPTH > 1) ? $clog2(DEPTH) : 1
) (
    input wire clk,
    input wire w_en,
    input wire r_en,
    input wire [AW-1:0] addr,
    input wire [WIDTH-1:0] w_data,
    output reg [WIDTH-1:0] r_data
);
  reg [WIDTH-1:0] cells[0:DEPTH-1];

  always @(posedge clk) begin
    if (w_en) cells[addr] <= w_data;
    if (r_en) r_data <= w_en ? {WIDTH{1'bx}} : cells[addr];
  end

`ifndef SYNTHESIS
  // From the first idle cycle on: registers hold anything before a reset.
  reg armed = 1'b0;

  always @(posedge clk) begin
    if (w_en === 1'b0 && r_en === 1'b0) armed <= 1'b1;
    if (armed && w_en === 1'b1 && r_en === 1'b1) begin
      $display("%m: written and read in one cycle, it has one port");
      $stop;
    end
  end
`endif
endmodule
