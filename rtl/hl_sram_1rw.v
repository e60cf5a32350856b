// Memory with one port; behavioural, replace by a macro. A cycle writes or reads, never both: a read
// beside a write gives anything. Define HASHLAYER_ASSERT to end a simulation there (SystemVerilog).
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

`ifdef HASHLAYER_ASSERT
  // Where the simulation can tell: registers hold anything before the first reset.
  always @(posedge clk)
    assert (!(w_en && r_en)) else $error("%m: written and read in one cycle, it has one port");
`endif
endmodule
