// Memory with one read-write port (w_*, r_*) and one read port (q_*); behavioural, replace by a
// macro. A cycle writes or reads on the read-write port; it writes where both are asked for.
// Read data is valid the cycle after the address and holds while the enable is low. A q read of
// the word being written is undefined: no user of this module relies on it.
// SPDX-License-Identifier: Apache-2.0
module hl_sram_1rw1r #(
    parameter WIDTH = 8,
    parameter DEPTH = 16,
    parameter AW = (DEPTH > 1) ? $clog2(DEPTH) : 1
) (
    input wire clk,
    input wire w_en,
    input wire [AW-1:0] w_addr,
    input wire [WIDTH-1:0] w_data,
    input wire r_en,
    input wire [AW-1:0] r_addr,
    output reg [WIDTH-1:0] r_data,
    input wire q_en,
    input wire [AW-1:0] q_addr,
    output reg [WIDTH-1:0] q_data
);
  reg [WIDTH-1:0] cells[0:DEPTH-1];

  // One address reaches the read-write port.
  wire [AW-1:0] p_addr = w_en ? w_addr : r_addr;

  always @(posedge clk) begin
    if (w_en) cells[p_addr] <= w_data;
    else if (r_en) r_data <= cells[p_addr];
    if (q_en) q_data <= (w_en && w_addr == q_addr) ? {WIDTH{1'bx}} : cells[q_addr];
  end
endmodule
