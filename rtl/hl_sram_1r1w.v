// Memory with one write port and one read port; behavioural, replace by a macro.
// Read data is valid the cycle after the address and holds while r_en is low. A read of the word
// being written is undefined: no user of this module relies on it.
// SPDX-License-Identifier: Apache-2.0
module hl_sram_1r1w #(
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
    output reg [WIDTH-1:0] r_data
);
  reg [WIDTH-1:0] cells[0:DEPTH-1];

  always @(posedge clk) begin
    if (w_en) cells[w_addr] <= w_data;
    if (r_en) r_data <= (w_en && w_addr == r_addr) ? {WIDTH{1'bx}} : cells[r_addr];
  end
endmodule
